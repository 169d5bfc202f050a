"""Searches that begin from an earlier run, or end by a limit."""

from collections.abc import Callable
from pathlib import Path

import pytest

from parefront.hardware_profiles import SearchError, load_profile
from parefront.search import Fidelity, RunDirectory, State, Trial, read_trials
from parefront.search.stopping import Limits

from .conftest import N_FINALS, N_TRIALS, TINY_TASK, copied


def test_on_the_same_machine_an_earlier_run_is_taken_as_it_is(
    finished: RunDirectory, search: Callable[..., list[Trial]], tmp_path: Path
) -> None:
    old, directory = read_trials(finished.journal), RunDirectory(tmp_path / "new")
    trials = search(directory, n_trials=1, n_final=0, earlier=finished.root)
    taken = [trial for trial in trials if trial.is_reused]
    assert {t.details["from"]["number"] for t in taken} == set(range(2, 2 + N_TRIALS + N_FINALS))
    for trial in taken:
        was = old[trial.details["from"]["number"]]
        assert (trial.configuration, trial.fidelity, trial.scores) == (was.configuration, was.fidelity, was.scores)
        if trial.state is State.COMPLETE:
            assert trial.artefact is not None
            assert was.artefact is not None
            kept, source = directory.artefacts / trial.artefact, finished.artefacts / was.artefact
            assert kept.read_bytes() == source.read_bytes()
    assert [trial.scores for trial in trials[:2]] == [trial.scores for trial in old[:2]]
    assert len(trials) == len(old) + 1
    assert trials[-1].configuration not in {trial.configuration for trial in old}
    manifest = directory.read_manifest()
    assert manifest is not None
    assert manifest["from"] == finished.root.name
    assert manifest["seconds"].get("train", 0.0) == trials[-1].seconds.get("train", 0.0)
    # It goes on without the earlier run.
    assert search(directory, n_trials=1, n_final=0) == trials


def test_on_another_profile_only_the_structure_is_measured(
    finished: RunDirectory, search: Callable[..., list[Trial]], tmp_path: Path
) -> None:
    old, directory = read_trials(finished.journal), RunDirectory(tmp_path / "new")
    other = load_profile(str(TINY_TASK.with_name("fast_openvino.yaml")))
    trials = search(directory, profile=other, n_trials=0, n_final=1, earlier=finished.root)
    taken = [trial for trial in trials if trial.is_reused]
    assert len(taken) == sum(t.fidelity is Fidelity.SHORT and t.state is State.COMPLETE for t in old[2:])
    for trial in taken:
        assert trial.state is State.COMPLETE, trial.reason
        assert "train" not in trial.seconds
        assert trial.seconds["measure"] > 0
        # The same network in another runtime: a few of the 128 samples at most are classified otherwise.
        assert abs(trial.value("accuracy") - old[trial.details["from"]["number"]].value("accuracy")) < 3
    assert [t.fidelity for t in trials if not t.is_reused][2:] == [Fidelity.FULL]
    with pytest.raises(SearchError, match=r"begin.*began from .*: choose another --out"):
        search(directory, profile=other, n_trials=0, n_final=1, earlier=tmp_path / "older")


def test_a_limit_in_time_is_told_in_the_manifest(
    finished: RunDirectory, search: Callable[..., list[Trial]], tmp_path: Path
) -> None:
    directory = copied(finished, tmp_path)
    # Without its last final member: then one is left to promote, however many candidates were closed.
    lines = directory.journal.read_bytes().splitlines(keepends=True)
    directory.journal.write_bytes(b"".join(lines[:-1]))
    before = read_trials(directory.journal)
    trials = search(directory, n_trials=100, n_final=9, limits=Limits(max_wall_s=1.0))
    assert trials == before
    manifest = directory.read_manifest()
    assert manifest is not None
    assert manifest["ended_by"].startswith("the time limit of 1 s (spent ")
    assert manifest["cut"].startswith("8 of 9 final members by the time limit of 1 s")
    assert manifest["cpu_seconds"] > 0
