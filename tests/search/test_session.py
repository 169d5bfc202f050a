"""What a search on a real network leaves, from the first trial to the exported files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from parefront.hardware_profiles import HardwareProfile, ProfileError, SearchError, fingerprint, load_profile
from parefront.search import Fidelity, RunDirectory, State, Trial, front, read_trials
from parefront.tasks import Task

from .conftest import N_FINALS, N_TRIALS, TINY_TASK


def test_the_front_is_what_was_exported(finished: RunDirectory, tiny_task: Task) -> None:
    """Accuracy on validation and on test, computed here from the file alone, is the recorded one."""
    members = front(read_trials(finished.journal), Fidelity.FULL)
    data = tiny_task.load_data()
    assert any(member.configuration for member in members)
    for member in members:
        assert member.is_verified is True
        assert member.artefact is not None
        path = finished.artefacts / member.artefact
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        for split, name in ((data.validation, "accuracy"), (data.test, "test_accuracy")):
            predicted = []
            for image in split.inputs.numpy():
                (outputs,) = session.run(None, {session.get_inputs()[0].name: image[None]})
                predicted.append(int(outputs.argmax()))
            accuracy = 100 * np.mean(np.array(predicted) == split.targets.numpy())
            assert member.value(name) == pytest.approx(accuracy)
        assert member.value("size_bytes") == path.stat().st_size
        assert member.details["executed_int8"] == member.details["planned_int8"]


def test_int8_layers_were_executed_as_int8(finished: RunDirectory) -> None:
    trials = read_trials(finished.journal)
    ladder = next(t for t in trials if t.origin == "uniform prune 25%")
    assert ladder.details["planned_int8"] == 5  # stem, two convolutions, two linear layers
    assert ladder.details["executed_int8"] == 5
    # 5 layers of fp32 weights shrink to about a quarter; what a graph of this size needs beside them is counted too.
    assert ladder.value("size_bytes") < 0.5 * trials[0].value("size_bytes")


def test_the_record_of_a_finished_run_is_whole(finished: RunDirectory) -> None:
    trials = read_trials(finished.journal)
    assert [trial.number for trial in trials] == list(range(2 + N_TRIALS + N_FINALS))
    assert [trial.origin for trial in trials[:2]] == ["baseline", "baseline, full fine-tune"]
    # The drop is against the better of the two baselines.
    assert min(trial.value("accuracy_drop") for trial in trials[:2]) == 0
    searched = [t for t in trials if t.fidelity is Fidelity.SHORT]
    assert len({t.configuration for t in searched}) == len(searched) == 1 + N_TRIALS
    for final in trials[2 + N_TRIALS :]:
        assert final.fidelity is Fidelity.FULL
        assert final.parent is not None
        assert trials[final.parent].configuration == final.configuration
        assert {"test_accuracy", "test_drop", "parity_error"} <= set(final.scores)
    best = max(trials[0].value("accuracy"), trials[1].value("accuracy"))
    for trial in trials:
        if trial.state is State.COMPLETE:
            assert trial.value("accuracy_drop") == pytest.approx(best - trial.value("accuracy"))


def test_the_manifest_says_what_was_searched(finished: RunDirectory, fast_profile: HardwareProfile) -> None:
    manifest = finished.read_manifest()
    assert manifest is not None
    assert manifest["status"] == "finished"
    assert (manifest["task"], manifest["hardware"], manifest["seed"]) == ("tiny", "fast", 0)
    assert manifest["fingerprint"]["cpu_model"] == fingerprint(fast_profile).cpu_model
    layers = [layer["name"] for layer in manifest["layers"]]
    assert layers == ["stem", "block.conv1", "block.conv2", "hidden", "classifier"]
    seconds = manifest["seconds"]
    assert {"baseline", "train", "evaluate", "export", "measure", "overhead", "total"} <= set(seconds)
    assert manifest["overhead_fraction"] == pytest.approx(seconds["overhead"] / seconds["total"])


def test_the_rungs_of_a_run_are_filled_and_compared(
    search: Callable[..., list[Trial]], tmp_path: Path, tiny_task: Task
) -> None:
    directory = RunDirectory(tmp_path / "rungs")
    trials = search(directory, n_trials=6, n_short=3, n_final=1)
    by_fidelity = {
        fidelity: [t for t in trials[2:] if t.fidelity is fidelity and t.state is State.COMPLETE]
        for fidelity in Fidelity
    }
    assert sum(t.fidelity is Fidelity.CALIBRATED for t in trials) == 6
    assert all("train" not in t.seconds for t in by_fidelity[Fidelity.CALIBRATED])
    assert len(by_fidelity[Fidelity.SHORT]) == 3
    assert all(t.seconds["train"] > 0 and "measure" not in t.seconds for t in by_fidelity[Fidelity.SHORT])
    assert [trials[t.parent or 0].fidelity for t in by_fidelity[Fidelity.FULL]] == [Fidelity.SHORT]
    manifest = directory.read_manifest()
    assert manifest is not None
    compared = [(each["lower"], each["higher"], each["n_candidates"]) for each in manifest["rungs"]]
    assert compared == [("calibrated", "short", 3), ("calibrated", "full", 1), ("short", "full", 1)]
    with pytest.raises(SearchError, match=r"first fidelity of candidates .* was calibrated, now short"):
        search(directory, n_trials=6, n_final=1)


def test_a_search_on_two_profiles_goes_on_with_both_and_only_so(
    search: Callable[..., list[Trial]], tmp_path: Path, fast_profile: HardwareProfile
) -> None:
    directory, other = RunDirectory(tmp_path / "both"), load_profile(str(TINY_TASK.with_name("fast_openvino.yaml")))
    search(directory, n_trials=0, n_final=0, others=[other])
    trials = search(directory, n_trials=1, n_final=1, others=[other])
    assert [trial.state for trial in trials] == [State.COMPLETE] * 4
    for trial in trials:
        assert trial.value("latency_ms@fast-openvino") > 0
        assert len(trial.details["operators@fast-openvino"]) > 0
    assert trials[-1].is_verified is True, trials[-1].reason
    manifest = directory.read_manifest()
    assert manifest is not None
    assert [each["hardware"] for each in manifest["profiles"]] == ["fast", "fast-openvino"]
    assert (manifest["hardware"], manifest["fingerprint_key"]) == ("fast", fingerprint(fast_profile).key)
    assert manifest["profiles"][1]["fingerprint_key"] == manifest["other_fingerprint_key"] == fingerprint(other).key
    assert manifest["other_profile_key"] == other.content_key()
    with pytest.raises(SearchError, match=r"the other hardware profiles of .* was fast-openvino, now none: choose"):
        search(directory, n_trials=1, n_final=1)


def test_a_profile_twice_is_refused_before_anything_is_made(
    search: Callable[..., list[Trial]], tmp_path: Path, fast_profile: HardwareProfile
) -> None:
    with pytest.raises(ProfileError, match="must have different names, got 'fast' twice"):
        search(RunDirectory(tmp_path / "new"), others=[fast_profile])
    assert not (tmp_path / "new").exists()
