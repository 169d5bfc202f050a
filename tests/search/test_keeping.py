"""Where a run is kept, from its beginning to its end; `test_database` has the database."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from parefront.hardware_profiles import SearchError
from parefront.search import RunDirectory, Trial, read_trials
from parefront.search.artefact_copies import FILES
from parefront.search.keeping import IN_THE_DIRECTORY, Keeper, Keeping, opened
from parefront.search.record import Record
from parefront.search.run_log import read_log
from parefront.spaces import SearchSpace


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    directory = RunDirectory(tmp_path / "run")
    directory.artefacts.mkdir(parents=True)
    (directory.artefacts / "trial-2.onnx").write_bytes(b"a model")
    return directory


def record_in(directory: RunDirectory, space: SearchSpace, keeper: Keeper) -> Record:
    record = Record(directory, space, on_add=keeper.note, store=keeper.store, before_add=keeper.named)
    keeper.go_on(record.trials)
    return record


def test_a_run_is_kept_in_its_directory_unless_told_otherwise(
    directory: RunDirectory, small_space: SearchSpace, make_trial: Callable[..., Trial]
) -> None:
    trial = make_trial(0, {"bits/a": 8}, 1.0)
    with opened(directory, "digits", IN_THE_DIRECTORY) as keeper:
        assert keeper.facts == {"storage": None, "artefacts": None}
        record_in(directory, small_space, keeper).add(trial)
    assert read_trials(directory.journal) == [trial]
    events = [(entry["event"], entry.get("trial")) for entry in read_log(directory.log)]
    assert events == [("search began", None), ("trial ended", 0), ("search ended", None)]


def test_copies_of_files_go_on_where_they_went(
    directory: RunDirectory, small_space: SearchSpace, make_trial: Callable[..., Trial], tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    trial = replace(make_trial(0, {"bits/a": 8}, 1.0), artefact="trial-2.onnx")
    with opened(directory, "digits", Keeping(artefacts=str(shared))) as keeper:
        assert keeper.facts["artefacts"] == f"file://{shared}"
        directory.write_manifest(dict(keeper.facts))
        record_in(directory, small_space, keeper).add(trial)
    (digest,) = read_trials(directory.journal)[0].details[FILES].values()
    copy = shared / f"{digest}.onnx"
    assert copy.read_bytes() == b"a model"
    copy.unlink()
    with opened(directory, "digits", IN_THE_DIRECTORY) as keeper:
        record_in(directory, small_space, keeper)
    assert copy.read_bytes() == b"a model"


def test_the_log_says_why_a_search_stopped(directory: RunDirectory) -> None:
    with pytest.raises(SearchError), opened(directory, "digits", IN_THE_DIRECTORY):
        raise SearchError("the device stayed away")
    with pytest.raises(KeyboardInterrupt), opened(directory, "digits", IN_THE_DIRECTORY):
        raise KeyboardInterrupt
    reasons = [entry["reason"] for entry in read_log(directory.log) if entry["event"] == "search stopped"]
    assert reasons == ["the device stayed away", "KeyboardInterrupt"]
