"""Who is promoted to the next fidelity: by non-dominated rank, then by hypervolume contribution. Pure.

Little training makes folds, operators and ranks look worse than they are, so every round keeps a place for the best of
each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from .front import layers
from .goals import DEFAULT_GOALS, Goals
from .pareto import Point, hypervolume_gain
from .trial import Fidelity, Trial

KEPT_TECHNIQUES = ("fold", "operator", "rank")
"""The best candidate that holds one of these is promoted in any case."""
MARGIN = 0.1
"""Of the range of an objective, by which the reference point lies beyond the worst: so that an extreme counts too."""


def next_promotion(
    trials: Sequence[Trial], taken: Sequence[Trial], n_before: int, n_places: int, goals: Goals = DEFAULT_GOALS
) -> Trial | None:
    """The trial to promote next; None where all are taken.

    The first place of a round always goes by rank and contribution, the last ones to a fold, to an operator and to a
    rank choice where the round holds none yet; where there is one place for all, to what was promoted less often.

    Args:
        trials: The complete trials of the lower fidelity.
        taken: Those promoted, or about to be, in that order.
        n_before: How many of `taken` belong to earlier rounds.
        n_places: Promotions of this round in all.
        goals: What the search is for.
    """
    compressed = [t for t in trials if len(t.configuration) > 0 and goals.allow(t)]
    known = {t.number for t in taken}
    candidates = [t for t in compressed if t.number not in known]
    if not candidates:
        return None
    this_round = taken[n_before:]
    if this_round:
        missing = [
            technique
            for technique in KEPT_TECHNIQUES
            if any(holds(t, technique) for t in candidates) and not any(holds(t, technique) for t in this_round)
        ]
        if missing and n_places - len(this_round) <= len(missing):
            technique = min(missing, key=lambda each: sum(holds(t, each) for t in taken))
            return min((t for t in candidates if holds(t, technique)), key=lambda t: t.value("accuracy_drop"))
    return next(t for t in _by_promise(compressed, goals, known) if t.number not in known)


def by_promise(trials: Sequence[Trial], goals: Goals = DEFAULT_GOALS) -> list[Trial]:
    """Complete trials in the order of promotion: by rank, within a rank by what each adds to the hypervolume."""
    return list(_by_promise(trials, goals))


def _by_promise(trials: Sequence[Trial], goals: Goals, left_out: Collection[int] = ()) -> Iterator[Trial]:
    """The same one by one; a rank of which all are left out, by number, is passed over."""
    # Any trial serves as the baseline: it shifts the logarithms and changes no contribution's order.
    points = {t.number: goals.objectives.point(t, trials[0]) for t in trials}
    reference = _reference(list(points.values()))
    for layer in layers(trials, goals):
        if all(t.number in left_out for t in layer):
            continue
        contribution = {
            t.number: hypervolume_gain(points[t.number], [points[o.number] for o in layer if o is not t], reference)
            for t in layer
        }
        yield from sorted(layer, key=lambda t: (-contribution[t.number], t.value("accuracy_drop"), t.number))


def promoted(trials: Sequence[Trial], fidelity: Fidelity) -> list[Trial]:
    """The trials that were promoted to a fidelity, in that order, whether the promotion succeeded or not."""
    by_number = {t.number: t for t in trials}
    return [by_number[t.parent] for t in trials if t.fidelity is fidelity and t.parent is not None]


def holds(trial: Trial, technique: str) -> bool:
    """Whether a trial's configuration chooses anything of a technique."""
    return any(site.startswith(f"{technique}/") for site in trial.configuration)


def _reference(points: Sequence[Point]) -> Point:
    """Beyond the worst of all: one-shot accuracies lie far outside the box that fronts are judged by."""
    columns = list(zip(*points, strict=True))
    return tuple(max(column) + MARGIN * (max(column) - min(column) or 1.0) for column in columns)
