from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from parefront.hardware_profiles.errors import SearchError
from parefront.search.reuse import FILE, MEMORY, NOTHING, Reuse, file_name, keep_reuse, open_reuse
from parefront.search.run_directory import RunDirectory
from parefront.search.trial import Fidelity, Trial

MakeTrial = Callable[..., Trial]


@pytest.fixture
def old(tmp_path: Path) -> RunDirectory:
    directory = RunDirectory(tmp_path / "old")
    directory.artefacts.mkdir(parents=True)
    for name in ("baseline.onnx", "trial-2.onnx", "trial-3.pt2", "trial-4.onnx", "trial-4.onnx.data", "final-2.onnx"):
        (directory.artefacts / name).write_text(name)
    for name in ("final-2.pt", MEMORY, "trial-5.onnx"):
        (directory.artefacts / name).write_text(name)
    return directory


@pytest.fixture
def reuse(make_trial: MakeTrial) -> Reuse:
    """Of the trained ones 3 is of another runtime, 4 has its weights beside it; 5 was not trained."""

    def trial(number: int, artefact: str, fidelity: Fidelity = Fidelity.SHORT) -> Trial:
        return replace(make_trial(number, {"prune/a": 8}, 1.0, fidelity=fidelity), artefact=artefact)

    return Reuse(
        "old",
        (
            trial(2, "trial-2.onnx"),
            trial(3, "trial-3.pt2"),
            trial(4, "trial-4.onnx"),
            trial(5, "trial-5.onnx", Fidelity.CALIBRATED),
            trial(6, "final-2.onnx", Fidelity.FULL),
        ),
        (replace(make_trial(0, {}, 0.0), artefact="baseline.onnx"),),
        has_accuracy=True,
        has_latency=True,
        best_accuracy=90.0,
        notes=("left 1: by hand",),
    )


def test_what_is_taken_stays_with_the_run(old: RunDirectory, reuse: Reuse, tmp_path: Path) -> None:
    new = RunDirectory(tmp_path / "new")
    assert open_reuse(old.root, new) is None  # to be planned
    keep_reuse(reuse, old, new, ".onnx")
    files = {path.name: path.read_text() for path in new.artefacts.iterdir()}
    assert files == {
        "from-2.onnx": "trial-2.onnx",
        "from-6.onnx": "final-2.onnx",
        "from-6.pt": "final-2.pt",
        "baseline.onnx": "baseline.onnx",
        MEMORY: MEMORY,
    }
    new.write_manifest({})
    assert open_reuse(old.root, new) == reuse
    assert open_reuse(None, new) == reuse  # the earlier run need not be named again


def test_a_file_is_copied_where_it_cannot_have_two_names(
    old: RunDirectory, reuse: Reuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError("another file system")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    new = RunDirectory(tmp_path / "new")
    keep_reuse(reuse, old, new, ".onnx")
    assert (new.artefacts / file_name(reuse.trials[0], ".onnx")).read_text() == "trial-2.onnx"


def test_configurations_alone_need_no_files(old: RunDirectory, reuse: Reuse, tmp_path: Path) -> None:
    new = RunDirectory(tmp_path / "new")
    keep_reuse(replace(reuse, baseline=(), has_accuracy=False, has_latency=False), old, new, ".onnx")
    assert list(new.artefacts.iterdir()) == []


def test_a_run_that_took_nothing_takes_nothing_later(old: RunDirectory, reuse: Reuse, tmp_path: Path) -> None:
    new = RunDirectory(tmp_path / "new")
    assert open_reuse(None, new) is NOTHING
    new.write_manifest({})
    with pytest.raises(SearchError, match=r"when it begins, but .*new began without one: choose another --out"):
        open_reuse(old.root, new)
    keep_reuse(reuse, old, new, ".onnx")
    with pytest.raises(SearchError, match=r"when it begins, but .*new began from old: choose another --out"):
        open_reuse(tmp_path / "older", new)


def test_what_a_killed_start_left_is_not_taken(old: RunDirectory, reuse: Reuse, tmp_path: Path) -> None:
    """It was killed before its first trial, and is started again without --from."""
    new = RunDirectory(tmp_path / "new")
    keep_reuse(reuse, old, new, ".onnx")
    assert open_reuse(None, new) is NOTHING
    new.write_manifest({})
    assert open_reuse(None, new) is NOTHING


def test_a_damaged_list_is_refused(tmp_path: Path) -> None:
    new = RunDirectory(tmp_path / "new")
    new.write_manifest({})
    (new.root / FILE).write_text("{")
    with pytest.raises(SearchError, match=r"reuse\.json cannot be read .* restore it or choose another --out"):
        open_reuse(None, new)
