import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from parefront.evaluators import Evaluation
from parefront.hardware_profiles import SearchError
from parefront.search.deliveries import Delivery, RunFiles, WorkerFolder
from parefront.search.executor import Failure, Job, Stage
from parefront.spaces import Configuration

JOB = Job(3, Stage.SHORT, Configuration(), "trial-3")


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The temporary folder of another machine."""
    folder = tmp_path / "there"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The run's directory of files."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def test_a_job_finds_its_files_there_and_the_run_finds_what_it_made_here(there: Path, here: Path) -> None:
    folder = WorkerFolder({"baseline.npz": b"results"})
    assert folder.path.parent == there
    assert (folder.path / "baseline.npz").read_bytes() == b"results"
    (here / "from-1.onnx").write_bytes(b"trained")
    run = RunFiles(here)
    structure = Evaluation({}, {}, here / "trial-1.onnx")
    job = pickle.loads(pickle.dumps(run.attached(replace(JOB, structure=structure, trained=here / "from-1.onnx"))))
    received = folder.received(job)
    assert received.structure is not None
    assert received.structure.artefact == folder.path / "trial-1.onnx"
    assert received.trained == folder.path / "from-1.onnx"
    assert received.trained.read_bytes() == b"trained"

    (folder.path / "trial-1.onnx").write_bytes(b"network")
    (folder.path / "trial-1.onnx.data").write_bytes(b"weights")
    (folder.path / "training-ab.checkpoint").write_bytes(b"half-way")
    sent = pickle.loads(pickle.dumps(folder.sent(received, replace(structure, artefact=received.structure.artefact))))
    stored = run.stored(sent)
    assert isinstance(stored, Evaluation)
    assert stored.artefact == here / "trial-1.onnx"
    assert (here / "trial-1.onnx").read_bytes() == b"network"
    assert (here / "trial-1.onnx.data").read_bytes() == b"weights"
    assert {path.name for path in folder.path.iterdir()} == {"baseline.npz", "training-ab.checkpoint"}


@pytest.mark.parametrize("stage", [Stage.STRUCTURE, Stage.REPEAT, Stage.ADOPT])
def test_files_that_were_not_trained_do_not_travel(there: Path, here: Path, stage: Stage) -> None:
    folder = WorkerFolder({})
    (folder.path / "trial-3.onnx").write_bytes(b"untrained")
    sent = folder.sent(replace(JOB, stage=stage), Evaluation({}, {}, folder.path / "trial-3.onnx"))
    stored = RunFiles(here).stored(sent)
    # The path is right all the same: a later stage writes the file, on whatever machine.
    assert stored == Evaluation({}, {}, here / "trial-3.onnx")
    assert list(here.iterdir()) == list(folder.path.iterdir()) == []


def test_a_failure_leaves_nothing(there: Path, here: Path) -> None:
    folder, failed = WorkerFolder({}), Failure("it burst", "")
    (folder.path / "trial-3.onnx").write_bytes(b"half")
    assert RunFiles(here).stored(folder.sent(JOB, failed)) is failed
    assert list(folder.path.iterdir()) == []


def test_results_of_workers_that_share_the_directory_stay_as_they_are(here: Path) -> None:
    evaluation = Evaluation({}, {}, here / "trial-3.onnx")
    assert RunFiles(here).attached(JOB) is JOB
    assert RunFiles(here).stored(evaluation) is evaluation


def test_folders_of_workers_that_are_gone_are_removed_by_the_next(there: Path) -> None:
    gone = there / "parefront-worker-gone"
    gone.mkdir()
    (gone / "old.onnx").touch()
    living = WorkerFolder({})
    WorkerFolder({})
    assert not gone.exists()
    assert living.path.is_dir()


def test_what_comes_from_elsewhere_stays_within_the_directory(here: Path) -> None:
    RunFiles(here).stored(Delivery(Evaluation({}, {}, Path("/x/trial-3.onnx")), {"../outside.onnx": b""}))
    assert [path.name for path in here.iterdir()] == ["outside.onnx"]
    assert not (here.parent / "outside.onnx").exists()


def test_a_file_that_cannot_be_written_is_told(here: Path) -> None:
    (here / "trial-3.onnx").mkdir()
    (here / "trial-3.onnx" / "in-the-way").touch()
    with pytest.raises(SearchError, match=r"must be written to .*here, but .*: make room there"):
        RunFiles(here).stored(Delivery(Evaluation({}, {}, Path("trial-3.onnx")), {"trial-3.onnx": b"x"}))
