"""Which candidate gets the full fine-tune next, aimed at the drops that people ask for. Pure: trials in, one out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import NormalDist

from ..spaces.fold import n_folded
from .front import complete, front
from .goals import DEFAULT_GOALS, Goals
from .pareto import non_dominated
from .promotion import KEPT_TECHNIQUES, holds, promoted
from .trial import Fidelity, State, Trial

TARGET_DROPS = (1.0, 2.5, 1.0, 0.5, 1.0, 1.0, 5.0, 1.0)
"""Points of accuracy aimed at one after the other: most people ask what one point buys."""
FIRST_SHARE = 0.4
"""Of the short fine-tune's drop that remains after the full one, before any was seen."""
FIRST_WEIGHT = 0.2
"""Of that first guess, beside a promoted trial that is just alike."""
LEAST_SHARE = 0.1
PREDICTION_ERROR = 0.5
"""Standard deviation of the predicted drop in percentage points, about that of a validation accuracy."""


def next_aimed_promotion(
    trials: Sequence[Trial], goals: Goals = DEFAULT_GOALS, under_way: Sequence[Trial] = ()
) -> Trial | None:
    """The short trial to promote next, or None when the front is used up.

    Aims at a drop after the full fine-tune, and takes the candidate that promises most: the chance that it stays within
    the drop, predicted from the short one by what the full one won back so far, times the logarithm of how much faster
    (smaller, where the search is not for latency) it is than the best member that did. Promotions under way count as if
    they came out as predicted.

    Args:
        trials: The record.
        goals: What is searched for.
        under_way: Short trials whose promotion has not ended, in the order in which these began.
    """
    taken = [*promoted(trials, Fidelity.FULL), *under_way]
    candidates = _not_taken(_pool(trials, goals), taken)
    if not candidates:
        # What is far from the limit on accuracy after little training may still reach it with all of it.
        structural = tuple(limit for limit in goals.constraints if limit.is_structural)
        candidates = _not_taken(_pool(trials, replace(goals, constraints=structural)), taken)
    if not candidates:
        return None
    for technique in KEPT_TECHNIQUES:
        holding = [t for t in candidates if holds(t, technique)]
        if len(taken) >= 2 and holding and not any(holds(t, technique) for t in taken):
            return min(holding, key=lambda t: t.value("accuracy_drop"))
    predict = _predictor(trials)
    targets, cost = _targets(goals), goals.objectives.main_cost.score
    target = targets[len(taken) % len(targets)]
    finals = [t for t in trials if t.fidelity is Fidelity.FULL and t.state is State.COMPLETE]
    within = [t.value(cost) for t in finals if t.value("accuracy_drop") <= target and goals.allow(t)]
    within += [t.value(cost) for t in under_way if predict(t) <= target]
    best = min(within, default=trials[0].value(cost))

    def expected_gain(trial: Trial) -> float:
        chance = NormalDist(predict(trial), PREDICTION_ERROR).cdf(target)
        return chance * max(0.0, math.log(best / trial.value(cost)))

    return max(candidates, key=lambda trial: (expected_gain(trial), -predict(trial)))


def _not_taken(pool: Sequence[Trial], taken: Sequence[Trial]) -> list[Trial]:
    return [t for t in pool if t not in taken]


def _targets(goals: Goals) -> Sequence[float]:
    """The drops that are worth aiming at: the limit where there is one, and what is asked for within it."""
    if goals.max_drop is None:
        return TARGET_DROPS
    return [
        target if target < goals.max_drop and position % 2 else goals.max_drop
        for position, target in enumerate(TARGET_DROPS)
    ]


def _pool(trials: Sequence[Trial], goals: Goals) -> list[Trial]:
    """The short front, and the front in accuracy and main cost among what holds a fold or a rank."""
    cost = goals.objectives.main_cost.score
    pool = {t.number: t for t in front(trials, Fidelity.SHORT, goals)}
    for technique in KEPT_TECHNIQUES:
        holding = [t for t in complete(trials, Fidelity.SHORT) if holds(t, technique) and goals.allow(t)]
        points = [(t.value("accuracy_drop"), t.value(cost)) for t in holding]
        pool |= {holding[i].number: holding[i] for i in non_dominated(points)}
    return [t for t in pool.values() if len(t.configuration) > 0]


def _complete_short(trials: Sequence[Trial]) -> list[Trial]:
    return [t for t in trials if t.fidelity is Fidelity.SHORT and t.state is State.COMPLETE]


def _predictor(trials: Sequence[Trial]) -> Callable[[Trial], float]:
    """Drop after the full fine-tune, as a share of the short one, learnt from the promoted trials most alike.

    Alike in drop and in how much is folded: training wins back more of what folds lose than of what pruning loses.
    """
    short = {t.number: t for t in _complete_short(trials)}
    seen = [
        (short[t.parent], t.value("accuracy_drop") / short[t.parent].value("accuracy_drop"))
        for t in trials
        if t.fidelity is Fidelity.FULL and t.state is State.COMPLETE and t.parent in short and t.configuration
        if short[t.parent].value("accuracy_drop") > 0
    ]

    def predict(trial: Trial) -> float:
        weights = [math.exp(-_distance(trial, other)) for other, _ in seen]
        shares = [max(LEAST_SHARE, share) for _, share in seen]
        total = sum(weights) + FIRST_WEIGHT
        share = (sum(w * s for w, s in zip(weights, shares, strict=True)) + FIRST_WEIGHT * FIRST_SHARE) / total
        return trial.value("accuracy_drop") * share

    return predict


def _distance(a: Trial, b: Trial) -> float:
    """One per point of short drop and per two folded activations."""
    return abs(a.value("accuracy_drop") - b.value("accuracy_drop")) + abs(_n_folds(a) - _n_folds(b)) / 2


def _n_folds(trial: Trial) -> int:
    return sum(n_folded(choice) for site, choice in trial.configuration.items() if site.startswith("fold/"))
