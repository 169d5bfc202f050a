"""What is kept up to date says at every step what is worked out from all trials; these functions have tests by hand."""

import random
from dataclasses import replace

import pytest

from parefront.evaluators.evaluator import Score
from parefront.search.front import front, front_hypervolume
from parefront.search.goals import DEFAULT_GOALS, Goals, parse_goals
from parefront.search.running_front import RunningFront, RunningHypervolume
from parefront.search.trial import REMEASURED, Fidelity, State, Trial
from parefront.spaces import Configuration

FOUR = parse_goals(["accuracy", "latency", "size", "macs"], ["size<=700"], ("",))


def drawn(number: int, rng: random.Random) -> Trial:
    """On a coarse grid, so that there are ties of all kinds, with intervals of several widths."""
    drop, width = rng.randint(0, 12), rng.choice([0.0, 0.005, 0.012, 0.05])
    latency = (70 - 4 * drop + rng.randint(0, 20)) / 100
    scores = [
        Score("accuracy_drop", drop / 2, "pt", False),
        Score("latency_ms", latency, "ms", False, latency / (1 + width), latency * (1 + width)),
        Score("size_bytes", 100.0 * rng.randint(1, 8), "bytes", False),
        Score("macs", 10.0 * rng.randint(1, 9), "MACs", False),
    ]
    state = rng.choices([State.COMPLETE, State.FAILED, State.DOMINATED], [8, 1, 1])[0]
    fidelity = rng.choices([Fidelity.SHORT, Fidelity.CALIBRATED], [5, 1])[0]
    configuration = Configuration.of({"prune/x": number} if number else {})
    return Trial(number, configuration, fidelity, state, {score.name: score for score in scores})


def record(n: int, seed: int) -> list[Trial]:
    """The baseline first; now and then a trial is measured again."""
    rng = random.Random(seed)
    trials = [replace(drawn(0, rng), state=State.COMPLETE, fidelity=Fidelity.SHORT)]
    for number in range(1, n):
        trial = drawn(number, rng)
        if number % 9 == 0:
            old = rng.choice(trials[1:])
            trial = replace(trial, configuration=old.configuration, details={REMEASURED: old.number})
        trials.append(trial)
    return trials


@pytest.mark.parametrize("goals", [DEFAULT_GOALS, FOUR], ids=["three", "four and a limit"])
@pytest.mark.parametrize("step", [1, 7])
def test_it_is_the_front_of_all_trials_at_every_step(goals: Goals, step: int) -> None:
    trials: list[Trial] = []
    running, volumes = RunningFront(trials, Fidelity.SHORT, goals), RunningHypervolume(trials, Fidelity.SHORT, goals)
    assert (running.members, volumes.after(0)) == ([], 0.0)
    every = record(140, seed=step)
    for start in range(0, len(every), step):
        trials += every[start : start + step]
        assert running.members == front(trials, Fidelity.SHORT, goals)
        assert volumes.after(len(trials)) == pytest.approx(front_hypervolume(trials, Fidelity.SHORT, goals), abs=1e-12)
    assert len(running.members) > 3
    assert volumes.after(50) == pytest.approx(front_hypervolume(trials[:50], Fidelity.SHORT, goals), abs=1e-12)


def test_another_fidelity_has_its_own() -> None:
    trials = record(60, seed=3)
    assert RunningFront(trials, Fidelity.CALIBRATED).members == front(trials, Fidelity.CALIBRATED)
    assert RunningFront(trials, Fidelity.FULL).members == []


def test_a_trial_that_cannot_change_the_front_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(0)
    best = replace(drawn(1, rng), state=State.COMPLETE, fidelity=Fidelity.SHORT)
    scores = {name: replace(score, value=0.01, low=None, high=None) for name, score in best.scores.items()}
    trials = [replace(best, number=0, scores=scores)]
    running = RunningFront(trials, Fidelity.SHORT)
    first = running.members
    monkeypatch.setattr(RunningFront, "_work_out", lambda self: pytest.fail("worked out anew"))
    trials += [drawn(number, rng) for number in range(1, 30)]
    assert running.members is first
