"""Searches on a real network, from the first trial to the exported files."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from parefront.hardware_profiles import HardwareProfile, ProfileError, SearchError, fingerprint, load_profile
from parefront.hardware_profiles.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from parefront.search import Fidelity, RunDirectory, State, Trial, front, read_trials
from parefront.search.goals import Goals, parse_goals
from parefront.search.record import owned
from parefront.search.session import run_search
from parefront.search.settings import SearchSettings
from parefront.search.stopping import Limits
from parefront.tasks import Task, load_task

TINY_TASK = Path(__file__).parent.parent / "tiny_task.py"
N_TRIALS, N_FINALS = 7, 2  # of `finished_run`


@pytest.fixture
def finished(finished_run: Any) -> RunDirectory:
    return finished_run.directory


@pytest.fixture
def search(tiny_task: Task, fast_profile: HardwareProfile) -> Callable[..., list[Trial]]:
    """Goes on with a run as `finished_run` does; arguments change one thing each."""

    def run(
        directory: RunDirectory,
        task: Task = tiny_task,
        profile: HardwareProfile = fast_profile,
        n_trials: int = N_TRIALS,
        n_final: int = N_FINALS,
        others: Sequence[HardwareProfile] = (),
        **settings: Any,
    ) -> list[Trial]:
        # What is measured again depends on the machine's noise, stored tables on the tests before; tests count trials.
        fixed = {"n_repeats": 0, "has_stored_tables": False}
        chosen = SearchSettings(n_trials, n_final, **{**fixed, **settings})
        return run_search(task, profile, chosen, directory, on_status=lambda status: None, others=others)

    return run


# --- what a finished run holds


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


# --- refusals


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("seed", "the seed of .* was 0, now 7"),
        (
            "goals",
            "the objectives or constraints of .* was accuracy, latency, size, now accuracy, size within size<=1MB",
        ),
        ("sampler", "the sampler of .* was tables, now random"),
        ("profile", "the settings of the hardware profile of "),
        ("profile name", "the hardware profile of .* was fast, now faster"),
        ("recipe", "the network, data or recipes of the task of "),
        ("task", "the task of .* was tiny, now other"),
    ],
)
def test_a_run_of_something_else_is_refused(
    finished: RunDirectory,
    search: Callable[..., list[Trial]],
    tiny_task: Task,
    fast_profile: HardwareProfile,
    change: str,
    difference: str,
) -> None:
    protocol = fast_profile.protocol.model_copy(update={"burst_ms": 3.0})
    changed: dict[str, Any] = {
        "seed": {"seed": 7},
        "goals": {"goals": parse_goals(["accuracy", "size"], ["size<=1MB"], ["fast"])},
        "sampler": {"sampler": "random"},
        "profile": {"profile": fast_profile.model_copy(update={"protocol": protocol})},
        "profile name": {"profile": fast_profile.model_copy(update={"name": "faster"})},
        "recipe": {"task": load_task(f"{TINY_TASK}:other_recipe")},
        "task": {"task": dataclasses.replace(tiny_task, name="other")},
    }[change]
    before = finished.journal.read_bytes()
    with pytest.raises(SearchError, match=f"a run goes on only as it began, but {difference}.*: choose another --out"):
        search(finished, **changed)
    assert finished.journal.read_bytes() == before


def copied(finished: RunDirectory, tmp_path: Path) -> RunDirectory:
    return RunDirectory(Path(shutil.copytree(finished.root, tmp_path / "copy")))


@pytest.mark.parametrize(("fact", "what"), [("version", "parefront version"), ("fingerprint_key", "machine")])
def test_a_run_of_another_version_or_machine_is_refused(
    finished: RunDirectory, search: Callable[..., list[Trial]], tmp_path: Path, fact: str, what: str
) -> None:
    copy = copied(finished, tmp_path)
    manifest = copy.read_manifest()
    assert manifest is not None
    copy.write_manifest({**manifest, fact: "0.0.1"})
    with pytest.raises(SearchError, match=rf"but the {what} of .* was 0\.0\.1, now "):
        search(copy)


def test_an_unusable_baseline_is_refused_before_the_search(search: Callable[..., list[Trial]], tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    with pytest.raises(SearchError, match=r"accuracy must be at least 100\.5 %, got .* %: train it better"):
        search(directory, task=load_task(f"{TINY_TASK}:demanding"))
    assert read_trials(directory.journal) == []
    assert directory.read_manifest() is None  # so that the mended task may use the directory


def test_a_second_search_on_the_same_run_is_refused(finished: RunDirectory, search: Callable[..., list[Trial]]) -> None:
    with owned(finished), pytest.raises(SearchError, match="another one owns"):
        search(finished)


def test_a_limit_out_of_reach_is_refused_before_the_search_and_mended(
    search: Callable[..., list[Trial]], tmp_path: Path
) -> None:
    directory, main = RunDirectory(tmp_path / "run"), ["fast"]
    message = r"size<=100 cannot be kept by any network of this space: the nearest is size<=\d.*kB \(smallest"
    with pytest.raises(SearchError, match=message):
        search(directory, n_trials=1, n_final=0, goals=parse_goals([], ["size<=100"], main))
    assert directory.read_manifest() is None
    assert not list(directory.artefacts.glob("uniform-*"))
    # The same directory may be used with a limit that can be kept, and with other objectives.
    goals = parse_goals(["accuracy", "macs"], ["size<=1MB"], main)
    trials = search(directory, n_trials=1, n_final=1, goals=goals)
    assert [trial.state for trial in trials] == [State.COMPLETE] * 4
    manifest = directory.read_manifest()
    assert manifest is not None
    assert Goals.from_json(manifest["goals"]) == goals


def test_an_objective_that_nothing_measures_is_refused_before_the_search(
    search: Callable[..., list[Trial]], tmp_path: Path
) -> None:
    """Both profiles load the same file, so that the other one has no size of its own."""
    other = load_profile(str(TINY_TASK.with_name("fast_openvino.yaml")))
    goals = parse_goals(["accuracy", "size@fast-openvino"], [], ["fast", "fast-openvino"])
    with pytest.raises(SearchError, match=r"size_bytes@fast-openvino is not, by these .* there are latency_ms, "):
        search(RunDirectory(tmp_path / "run"), goals=goals, others=[other])


def test_a_lost_baseline_is_refused(finished: RunDirectory, search: Callable[..., list[Trial]], tmp_path: Path) -> None:
    copy = copied(finished, tmp_path)
    (copy.artefacts / "baseline.npz").unlink()
    with pytest.raises(SearchError, match=r"baseline\.npz is gone: restore it or choose another --out"):
        search(copy)


# --- several hardware profiles


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


# --- failing candidates


def test_a_fine_tune_that_diverges_is_a_failed_trial(search: Callable[..., list[Trial]], tmp_path: Path) -> None:
    trials = search(RunDirectory(tmp_path), task=load_task(f"{TINY_TASK}:hasty"), n_trials=2, n_final=1)
    assert [trial.state for trial in trials[2:]] == [State.FAILED] * 2
    for trial in trials[2:]:
        assert "must stay finite" in trial.reason
        assert "lower the learning rate" in trial.reason
        assert "accuracy" not in trial.scores


def test_a_failing_export_is_a_failed_trial(
    search: Callable[..., list[Trial]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = OnnxRuntimeCpu.export

    def failing(self: OnnxRuntimeCpu, module: Any, example_input: Any, plan: Any, path: Path) -> None:
        if path.name == "trial-2.onnx":
            raise RuntimeError("operator aten::frobnicate\nis not supported")
        export(self, module, example_input, plan, path)

    monkeypatch.setattr(OnnxRuntimeCpu, "export", failing)
    trials = search(RunDirectory(tmp_path), n_trials=2, n_final=0)
    assert [trial.state for trial in trials[2:]] == [State.FAILED, State.COMPLETE]
    assert trials[2].reason == (
        "ExportError: the network could not be exported: RuntimeError: operator aten::frobnicate is not supported"
    )


# --- resuming


def test_a_kill_between_the_two_baseline_trials_is_mended(
    finished: RunDirectory, search: Callable[..., list[Trial]], tmp_path: Path
) -> None:
    copy = copied(finished, tmp_path)
    lines = copy.journal.read_bytes().splitlines(keepends=True)
    position = next(i for i, line in enumerate(lines) if b"baseline, full fine-tune" in line)
    copy.journal.write_bytes(b"".join(lines[:position]) + lines[position][:100])
    kept = read_trials(finished.journal)[0]
    trials = search(copy, n_trials=0, n_final=0)
    assert trials[0] == kept
    assert [(trial.number, trial.fidelity) for trial in trials] == [(0, Fidelity.SHORT), (1, Fidelity.FULL)]


def test_more_trials_may_be_added_later(
    finished: RunDirectory, search: Callable[..., list[Trial]], tmp_path: Path
) -> None:
    copy = copied(finished, tmp_path)
    before = read_trials(finished.journal)
    # What a kill in the middle of a write leaves: a lock and half a line.
    Path(f"{copy.journal}.lock").touch()
    with copy.journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker')
    trials = search(copy, n_trials=N_TRIALS + 1)
    assert trials[: len(before)] == before
    assert len(trials) == len(before) + 1
    assert trials[-1].configuration not in {trial.configuration for trial in before}
    assert copy.journal.with_suffix(".cut").read_bytes() == b'{"op_code":4,"worker'


def test_a_killed_search_goes_on_without_losing_or_repeating_a_trial(
    program: str, tmp_path: Path, finished_run: Any
) -> None:
    directory = RunDirectory(tmp_path / "run")
    command = [program, *finished_run.command[:-1], str(directory.root)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 90
    n_wanted = 5
    while time.monotonic() < deadline and process.poll() is None:
        if directory.journal.is_file() and len(directory.journal.read_bytes().splitlines()) >= 1 + n_wanted:
            break
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it must have been killed in mid-run"
    killed = read_trials(directory.journal)
    assert n_wanted <= len(killed) < 2 + N_TRIALS + N_FINALS

    again = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert again.returncode == 0, again.stderr
    trials = read_trials(directory.journal)
    assert trials[: len(killed)] == killed
    assert [trial.number for trial in trials] == list(range(2 + N_TRIALS + N_FINALS))
    searched = [t.configuration for t in trials if t.fidelity is Fidelity.SHORT]
    assert len(set(searched)) == len(searched) == 1 + N_TRIALS
    promoted = [t.parent for t in trials if t.parent is not None]
    assert len(set(promoted)) == len(promoted) == N_FINALS
    manifest = json.loads(directory.manifest.read_text())
    assert manifest["status"] == "finished"
    # Killed or not, the ladder is the same; what comes after it depends on measured times.
    whole = read_trials(finished_run.directory.journal)
    assert [t.configuration for t in trials[:8]] == [t.configuration for t in whole[:8]]
    assert os.path.getsize(directory.artefacts / "baseline.onnx") == trials[0].value("size_bytes")


# --- from an earlier run


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
    before = read_trials(directory.journal)
    trials = search(directory, n_trials=100, n_final=9, limits=Limits(max_wall_s=1.0))
    assert trials == before
    manifest = directory.read_manifest()
    assert manifest is not None
    assert manifest["ended_by"].startswith("the time limit of 1 s (spent ")
    assert manifest["cut"].startswith("7 of 9 final members by the time limit of 1 s")
    assert manifest["cpu_seconds"] > 0
