"""What the runs of `benchmarks.search_quality` come to: hypervolume curves, and the figures to reach. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.search_quality_runs import Run
from parefront.search.pareto import Point, dominates, hypervolume

MARKS = (25, 50, 100, 200, 400)
"""Numbers of evaluations at which scores are reported."""
Figures = dict[str, Any]  # part of the JSON


@dataclass(frozen=True)
class Kinds:
    """Which methods are which; names that nothing was run of do no harm.

    Attributes:
        ours: Our proposer.
        misled: Ours with useless tables.
        cold: Opponents without seeds.
        off_the_shelf: What a user could have without us: cold ones, and those that begin with the ladder.
        seeded: Opponents that begin with any seeds, also with ours.
    """

    ours: str
    misled: Sequence[str]
    cold: Sequence[str]
    off_the_shelf: Sequence[str]
    seeded: Sequence[str]


def curve(points: Iterable[Point | None], reference: Point) -> list[float]:
    """Hypervolume after each evaluation; None adds nothing."""
    front: list[Point] = []
    volumes: list[float] = []
    for point in points:
        adds = point is not None and all(x < r for x, r in zip(point, reference, strict=True))
        if point is not None and adds and not any(p == point or dominates(p, point) for p in front):
            front = [p for p in front if not dominates(point, p)] + [point]
            volumes.append(hypervolume(front, reference))
        else:
            volumes.append(volumes[-1] if volumes else 0.0)
    return volumes


def value_at(volumes: Sequence[float], n: int) -> float | None:
    """The score after n evaluations, None where there were fewer.

    Args:
        volumes: From `curve`.
        n: At least 1.
    """
    return volumes[n - 1] if 0 < n <= len(volumes) else None


def evaluations_to_reach(volumes: Sequence[float], target: float) -> int | None:
    """The number of evaluations after which the score is at least the target; None where it never is."""
    return next((n for n, volume in enumerate(volumes, start=1) if volume >= target), None)


class Scores:
    """The curves of one surface by method, one for each seed."""

    def __init__(self, runs: Iterable[Run], reference: Point, known: Iterable[Point] = ()) -> None:
        """Computes the curves.

        Args:
            runs: Of one surface.
            reference: The box's worst corner.
            known: Points of the surface that were found outside these runs.
        """
        self.runs = list(runs)
        self._curves: dict[str, list[list[float]]] = {}
        for run in sorted(self.runs, key=lambda each: each.seed):
            self._curves.setdefault(run.method, []).append(curve(run.points, reference))
        everything = [*known, *(point for run in self.runs for point in run.points)]
        self.best_known = max(curve(everything, reference), default=0.0)

    def curves(self, method: str) -> list[list[float]]:
        """One for each seed."""
        return self._curves.get(method, [])

    def methods(self) -> list[str]:
        """With any run."""
        return list(self._curves)

    def values(self, method: str, n: int) -> list[float]:
        """Scores after n evaluations of the seeds that got so far."""
        found = (value_at(each, n) for each in self.curves(method))
        return [value for value in found if value is not None]

    def mean(self, method: str, n: int) -> float | None:
        """Mean score after n evaluations over the seeds, None where none got so far."""
        values = self.values(method, n)
        return statistics.fmean(values) if values else None

    def best(self, methods: Iterable[str], n: int) -> tuple[str, float] | None:
        """The method of these with the highest mean after n evaluations, None where none got so far."""
        means = ((method, mean) for method in methods if (mean := self.mean(method, n)) is not None)
        return max(means, key=lambda each: each[1], default=None)


def surface_figures(scores: Scores, kinds: Kinds) -> Figures:
    """The figures of one surface; None where what they need was not run."""
    best200, cold400 = scores.best(kinds.off_the_shelf, 200), scores.best(kinds.cold, 400)
    seeded200 = scores.best(kinds.seeded, 200)
    ours50, ours200 = scores.mean(kinds.ours, 50), scores.mean(kinds.ours, 200)
    misled200 = [mean for name in kinds.misled if (mean := scores.mean(name, 200)) is not None]
    return {
        "best_known": round(scores.best_known, 5),
        "best_off_the_shelf": best200[0] if best200 else None,
        "best_cold_400": cold400[0] if cold400 else None,
        "best_seeded": seeded200[0] if seeded200 else None,
        "evals_to_match_best200": _matched(scores, kinds.ours, best200[1]) if best200 else None,
        "ours50_over_cold400": _ratio(ours50, cold400[1] if cold400 else None),
        "gap200_over_seeded": _ratio(
            None if ours200 is None else scores.best_known - ours200,
            None if seeded200 is None else scores.best_known - seeded200[1],
        ),
        "misled_over_best200": _ratio(min(misled200, default=None), best200[1] if best200 else None),
    }


def method_figures(scores: Scores) -> dict[str, Figures]:
    """By method, best first: share of the best-known hypervolume at the marks, mean and spread over the seeds."""
    found: dict[str, Figures] = {}
    for method in scores.methods():
        asks = [second for run in scores.runs if run.method == method for second in run.ask_cpu_s]
        stopped = sorted({run.stopped for run in scores.runs if run.method == method and run.stopped})
        found[method] = {
            "n_seeds": len(scores.curves(method)),
            **{f"hv{n}": _spread(scores.values(method, n), scores.best_known) for n in MARKS},
            "ask_cpu_ms": round(1000 * statistics.fmean(asks), 1) if asks else None,
            **({"stopped": stopped} if stopped else {}),
        }
    return dict(sorted(found.items(), key=lambda item: _order(item[1]), reverse=True))


def overall(by_surface: Mapping[str, Figures]) -> Figures:
    """The worst surface counts; None where one of them lacks the figure."""
    worst: Mapping[str, Callable[[Iterable[float]], float]] = {
        "evals_to_match_best200": max,
        "ours50_over_cold400": min,
        "gap200_over_seeded": max,
        "misled_over_best200": min,
    }
    found: Figures = {"n_surfaces": len(by_surface)}
    for name, pick in worst.items():
        values = [figures[name] for figures in by_surface.values()]
        found[name] = None if not values or None in values else pick(values)
    return found


def _matched(scores: Scores, method: str, target: float) -> float | None:
    """Evaluations until the mean curve over the seeds reaches a target, tables included; None where it never does.

    Of the mean curve, not the mean over the seeds: a seed that never gets there has no number.
    """
    curves = scores.curves(method)
    if not curves:
        return None
    length = min(map(len, curves))
    mean = [statistics.fmean(each[position] for each in curves) for position in range(length)]
    n = evaluations_to_reach(mean, target)
    head_starts = [run.head_start for run in scores.runs if run.method == method]
    return None if n is None else round(n + statistics.fmean(head_starts), 2)


def _ratio(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None or b <= 0 else round(a / b, 4)


def _spread(values: Sequence[float], best_known: float) -> Figures | None:
    """Mean and standard deviation over the seeds (0 for one), as shares of the best known."""
    if not values or best_known <= 0:
        return None
    shares = [value / best_known for value in values]
    deviation = statistics.stdev(shares) if len(shares) > 1 else 0.0
    return {"mean": round(statistics.fmean(shares), 4), "std": round(deviation, 4), "n": len(shares)}


def _order(figures: Figures) -> tuple[float, ...]:
    return tuple((figures[f"hv{n}"] or {}).get("mean", -1.0) for n in (200, 100, 50, 25))
