"""What a search refuses before it begins or goes on."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parefront.hardware_profiles import HardwareProfile, SearchError, load_profile
from parefront.search import RunDirectory, State, Trial, read_trials
from parefront.search.goals import Goals, parse_goals
from parefront.search.record import owned
from parefront.tasks import Task, load_task

from .conftest import TINY_TASK, copied


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
