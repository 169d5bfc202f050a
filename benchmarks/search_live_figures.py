"""What the runs of `benchmarks.search_live` come to: hypervolume over evaluations and seconds, and ratios. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from benchmarks.recovery_bench import spread
from benchmarks.search_quality_figures import curve, evaluations_to_reach
from parefront.search.objectives import DEFAULT_OBJECTIVES
from parefront.search.rung_correlation import RungCorrelation, rung_correlations
from parefront.search.trial import Fidelity, State, Trial

Figures = dict[str, Any]  # part of the JSON
DIGITS = 4
SHARES = {"": 1.0, "_95": 0.95}
"""Of the hypervolume that both reach, by the ending of the figure's name."""


@dataclass(frozen=True)
class Step:
    """How far a search had come when a trial ended; the baseline's trials are none of it.

    Attributes:
        n_evaluations: Candidates that had ended, failed and closed ones counted, promotions not.
        n_trained: Short fine-tunes.
        train_s: Seconds of training.
        all_s: Seconds of all stages: preparing, exporting, measuring, training, evaluating.
        volume: Hypervolume of the short front.
    """

    n_evaluations: int
    n_trained: int
    train_s: float
    all_s: float
    volume: float


NOTHING = Step(0, 0, 0.0, 0.0, 0.0)
COSTS: Mapping[str, Callable[[Step], float]] = {
    "training_time_ratio": lambda step: step.train_s,
    "all_time_ratio": lambda step: step.all_s,
    "fine_tunes_ratio": lambda step: step.n_trained,
}
"""What a hypervolume may cost, by the name of the ratio; the last one no other program can disturb."""


@dataclass(frozen=True)
class LiveRun:
    """One search.

    Attributes:
        variant: Name.
        seed: Of the search.
        steps: One per ended trial.
        n_closed: Candidates closed before any training.
        n_failed: Failed trials; what their training took is not known.
        rungs: How the rungs agree.
    """

    variant: str
    seed: int
    steps: Sequence[Step]
    n_closed: int
    n_failed: int
    rungs: Sequence[RungCorrelation]

    @property
    def end(self) -> Step:
        """The last step."""
        return self.steps[-1] if self.steps else NOTHING


def as_run(variant: str, seed: int, trials: Sequence[Trial]) -> LiveRun:
    """A run by its record."""
    states = [trial.state for trial in trials]
    n_closed, n_failed = states.count(State.DOMINATED), states.count(State.FAILED)
    return LiveRun(variant, seed, steps_of(trials), n_closed, n_failed, rung_correlations(trials))


def steps_of(trials: Sequence[Trial]) -> list[Step]:
    """The course of a search by the three default objectives.

    Args:
        trials: A record, the baseline first; its other trials without any decision are left out.
    """
    baseline, searched = trials[0], [trial for trial in trials if len(trial.configuration) > 0]
    box = DEFAULT_OBJECTIVES
    is_scored = [trial.state is State.COMPLETE and trial.fidelity is Fidelity.SHORT for trial in searched]
    points = [
        box.clipped(box.point(trial, baseline)) if scored else None
        for trial, scored in zip(searched, is_scored, strict=True)
    ]
    steps, last = list[Step](), NOTHING
    for trial, volume in zip(searched, curve(points, box.reference), strict=True):
        last = Step(
            last.n_evaluations + (trial.parent is None),
            last.n_trained + ("train" in trial.seconds),
            last.train_s + trial.seconds.get("train", 0.0),
            last.all_s + sum(trial.seconds.values()),
            volume,
        )
        steps.append(last)
    return steps


def cost_until(steps: Sequence[Step], target: float, cost: Callable[[Step], float]) -> float | None:
    """What a search had taken when its hypervolume first was at least the target; None where it never was."""
    return next((cost(step) for step in steps if step.volume >= target), None)


def volumes_by_evaluation(run: LiveRun, n: int) -> list[float]:
    """The hypervolume after 1 … n evaluations; promotions count to the candidate before them."""
    volumes = {step.n_evaluations: step.volume for step in run.steps}
    found: list[float] = []
    for position in range(1, n + 1):
        found.append(volumes.get(position, found[-1] if found else 0.0))
    return found


def against_plain(runs: Sequence[LiveRun], variant: str, plain: str) -> Figures | None:
    """What a variant takes to a hypervolume, over what the plain search takes to the same, mean over their seeds.

    The hypervolume is the plain search's final one; where the variant ends below it, the variant's final one, the
    highest that both reach. `n_reached` says in how many seeds it was the plain search's. The `_95` figures take 95 %
    of it, the last bit of which is luck.

    Returns:
        None where no seed has both with any hypervolume at all.
    """
    ours, others = by_seed(runs, variant), by_seed(runs, plain)
    pairs = [(ours[seed], others[seed]) for seed in sorted(ours.keys() & others.keys())]
    pairs = [pair for pair in pairs if _common(*pair) > 0]
    if not pairs:
        return None
    found: Figures = {
        "n_seeds": len(pairs),
        "n_reached": sum(run.end.volume >= other.end.volume for run, other in pairs),
        "volume_ratio": spread([run.end.volume / other.end.volume for run, other in pairs], DIGITS),
        "whole_training_ratio": _mean_ratio([(run.end.train_s, other.end.train_s) for run, other in pairs]),
    }
    for ending, share in SHARES.items():
        for name, cost in COSTS.items():
            costs = [_costs_of_the_same(run, other, share, cost) for run, other in pairs]
            found[name + ending] = _mean_ratio(costs)
    return found


def against_others(runs: Sequence[LiveRun], ours: str, others: Sequence[str], n: int) -> Figures | None:
    """A method of ours beside the best other one at the same number of evaluations, by means over the seeds.

    Args:
        runs: All.
        ours: Its variant.
        others: Theirs.
        n: Evaluations.

    Returns:
        None where nothing was run of ours or of any other.
    """
    means = {name: mean for name in (ours, *others) if (mean := _mean_volumes(runs, name, n))}
    if ours not in means or len(means) < 2 or n < 1:
        return None
    best = max((name for name in means if name != ours), key=lambda name: means[name][-1])
    target = means[best][-1]
    return {
        "best_other": best,
        "volume_over_best_other": round(means[ours][-1] / target, DIGITS) if target > 0 else None,
        "evals_to_match_best_other": evaluations_to_reach(means[ours], target),
        "n_evaluations": n,
    }


def variant_figures(runs: Sequence[LiveRun], variant: str, n: int) -> Figures | None:
    """What a variant found and took, mean over its seeds; None where it was not run.

    Args:
        runs: All.
        variant: Its name.
        n: Evaluations.
    """
    own = list(by_seed(runs, variant).values())
    if not own:
        return None
    marks = sorted({max(1, n // 4), max(1, n // 2), max(1, n)})
    ranks = [rung.rank_correlation for run in own for rung in run.rungs if rung.rank_correlation is not None]
    return {
        **{
            f"volume_at_{mark}": spread([volumes_by_evaluation(run, mark)[-1] for run in own], DIGITS) for mark in marks
        },
        "train_s": spread([run.end.train_s for run in own], 1),
        "all_s": spread([run.end.all_s for run in own], 1),
        "n_trained": spread([run.end.n_trained for run in own], 1),
        "n_closed": spread([run.n_closed for run in own], 1),
        "n_failed": spread([run.n_failed for run in own], 1),
        "rung_rank_correlation": spread(ranks, 3) if ranks else None,
    }


def curve_figures(run: LiveRun) -> list[list[float]]:
    """The steps at which the hypervolume rose, and the last one, as rows in the order of `Step`'s attributes."""
    before = [0.0, *(step.volume for step in run.steps)]
    risen = [step for step, volume in zip(run.steps, before, strict=False) if step.volume > volume]
    kept = risen if not run.steps or (risen and risen[-1] == run.end) else [*risen, run.end]
    return [[round(value, DIGITS) for value in astuple(step)] for step in kept]


def by_seed(runs: Sequence[LiveRun], variant: str) -> dict[int, LiveRun]:
    """The runs of a variant."""
    return {run.seed: run for run in runs if run.variant == variant}


def _common(run: LiveRun, other: LiveRun) -> float:
    """The highest hypervolume that both reach."""
    return min(run.end.volume, other.end.volume)


def _costs_of_the_same(
    run: LiveRun, other: LiveRun, share: float, cost: Callable[[Step], float]
) -> tuple[float, float]:
    """What each took to a share of the highest hypervolume that both reach."""
    target = share * _common(run, other)
    own, theirs = cost_until(run.steps, target, cost), cost_until(other.steps, target, cost)
    assert own is not None, "both reach it"
    assert theirs is not None, "both reach it"
    return own, theirs


def _mean_volumes(runs: Sequence[LiveRun], variant: str, n: int) -> list[float]:
    """After 1 … n evaluations, over the seeds; empty where the variant was not run."""
    curves = [volumes_by_evaluation(run, n) for run in by_seed(runs, variant).values()]
    return [statistics.fmean(volumes) for volumes in zip(*curves, strict=True)]


def _mean_ratio(pairs: Sequence[tuple[float, float]]) -> Figures | None:
    """Mean and deviation of a / b; None where a b is 0: nothing was measured."""
    return None if any(b <= 0 for _, b in pairs) else spread([a / b for a, b in pairs], DIGITS)
