"""Which candidate gets the full fine-tune next. Pure: the trials so far in, the next one out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .front import front
from .pareto import non_dominated
from .trial import Fidelity, State, Trial

TARGET_DROPS = (1.0, 1.0, 2.5, 1.0, 0.5, 5.0, 1.0, 2.5)
"""Points of accuracy aimed at one after the other: most people ask what one point buys."""
FIRST_SHARE = 0.4
"""Of the short fine-tune's drop that remains after the full one, before any was seen."""
LEAST_SHARE = 0.1
KEPT_TECHNIQUES = ("fold", "rank")
"""Little training makes these look worse than they are, so the best that holds one is promoted in any case."""


def next_promotion(trials: Sequence[Trial]) -> Trial | None:
    """The short trial to promote next, or None when the front is used up.

    Aims at a drop after the full fine-tune, predicted from the short one by what the full one won back so far, and
    takes the fastest candidate within it.
    """
    promoted = _promoted(trials)
    candidates = [t for t in _pool(trials) if t.number not in promoted]
    if not candidates:
        return None
    for technique in KEPT_TECHNIQUES:
        holding = [t for t in candidates if _holds(t, technique)]
        if len(promoted) >= 2 and holding and not any(_holds(t, technique) for t in promoted.values()):
            return min(holding, key=lambda t: t.value("accuracy_drop"))
    predict = _predictor(trials)
    target = TARGET_DROPS[len(promoted) % len(TARGET_DROPS)]
    within = [t for t in candidates if predict(t) <= target]
    if within:
        return min(within, key=lambda t: t.value("latency_ms"))
    return min(candidates, key=predict)


def _promoted(trials: Sequence[Trial]) -> dict[int, Trial]:
    """The trials that were promoted already, by number, whether the full trial succeeded or not."""
    parents = {t.parent for t in trials if t.fidelity is Fidelity.FULL}
    return {t.number: t for t in trials if t.number in parents and len(t.configuration) > 0}


def _pool(trials: Sequence[Trial]) -> list[Trial]:
    """The short front, and the front in accuracy and latency among what holds a fold or a rank."""
    pool = {t.number: t for t in front(trials, Fidelity.SHORT)}
    for technique in KEPT_TECHNIQUES:
        holding = [t for t in _complete_short(trials) if _holds(t, technique)]
        points = [(t.value("accuracy_drop"), t.value("latency_ms")) for t in holding]
        pool |= {holding[i].number: holding[i] for i in non_dominated(points)}
    return [t for t in pool.values() if len(t.configuration) > 0]


def _complete_short(trials: Sequence[Trial]) -> list[Trial]:
    return [t for t in trials if t.fidelity is Fidelity.SHORT and t.state is State.COMPLETE]


def _holds(trial: Trial, technique: str) -> bool:
    return any(site.startswith(f"{technique}/") for site in trial.configuration)


def _predictor(trials: Sequence[Trial]) -> Callable[[Trial], float]:
    """Drop after the full fine-tune as a share of the short one, as at the promoted trial that lost about as much."""
    short = {t.number: t for t in _complete_short(trials)}
    seen = [
        (short[t.parent].value("accuracy_drop"), t.value("accuracy_drop"))
        for t in trials
        if t.fidelity is Fidelity.FULL and t.state is State.COMPLETE and t.parent in short and t.configuration
    ]

    def predict(trial: Trial) -> float:
        drop = trial.value("accuracy_drop")
        if not seen:
            return drop * FIRST_SHARE
        nearest, after = min(seen, key=lambda pair: abs(pair[0] - drop))
        return drop * max(LEAST_SHARE, after / nearest) if nearest > 0 else drop

    return predict
