"""A sweep in words and rows, the same in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from ..evaluators.evaluator import Score
from ..evaluators.folded_point import FoldedPoint
from ..evaluators.nonlinearity import Nonlinearity

HEADINGS = ("λ", "seed", "activations", "depth", "before %", "after %", "drop pt", "test %", "test drop", "scratch %")
"""Before and after the second fine-tune."""


def headline(result: Nonlinearity) -> str:
    """Such as `effective degree of non-linearity 5 of 19 activations: 93.1 % against 93.7 %`."""
    degree, n_all = result.degree, result.foldable.n_all
    start = f"effective degree of non-linearity {degree.n_activations} of {n_all} activations"
    found = result.at_degree()
    if not found or all(each == n_all for each in degree.by_seed.values()):
        return f"{start}: no folded network stays within {degree.tolerance_pt:g} pt of {_mean_unfolded(result)}"
    accuracy = fmean(point.scores["accuracy"].value for point in found)
    return f"{start}: {accuracy:.1f} % against {_mean_unfolded(result)}"


def confidence(result: Nonlinearity) -> str:
    """The interval of the degree, what it rests on, and the depth that goes with it."""
    degree = result.degree
    seeds = f"{len(degree.by_seed)} seed" + ("s" if len(degree.by_seed) != 1 else "")
    parts = [
        f"95 % interval {degree.low} to {degree.high} ({seeds}), at most {degree.tolerance_pt:g} pt lost on validation"
    ]
    found = result.at_degree()
    if found:
        depths = sorted({point.depth for point in found})
        parts.append(f"depth {' or '.join(map(str, depths))} of {result.depth} layers")
        fresh = [point.scores["scratch_accuracy"].value for point in found if "scratch_accuracy" in point.scores]
        if fresh:
            parts.append(f"the same architecture from scratch {fmean(fresh):.1f} %")
    return "; ".join(parts)


def budget_line(result: Nonlinearity) -> str:
    """What answers a budget; empty where none was given."""
    budget = result.settings.budget
    if budget is None:
        return ""
    if result.budget_strength is None:
        return f"no λ that was tried leaves at most {budget} activations"
    found = [p for p in result.points if p.strength == result.budget_strength and p.scores]
    counts = sorted({point.n_activations for point in found})
    accuracy = f"{fmean(p.scores['accuracy'].value for p in found):.1f} %" if found else "training failed"
    return f"at most {budget} activations: λ {result.budget_strength:g} leaves {_either(counts)}, {accuracy}"


def rows(result: Nonlinearity) -> list[tuple[str, ...]]:
    """One row per point under `HEADINGS`, from many activations to few; a failed training says why instead."""
    ordered = sorted(result.points, key=lambda point: (-point.n_activations, point.strength, point.seed))
    return [_row(point) for point in ordered]


def survivors(result: Nonlinearity) -> list[tuple[str, str]]:
    """Of each activation that could go: its name, and in how many of the points it stayed."""
    done = [point for point in result.points if not point.reason]
    return [
        (name, f"{sum(name in point.survivors for point in done)} of {len(done)}") for name in result.foldable.names
    ]


def _row(point: FoldedPoint) -> tuple[str, ...]:
    scores = point.scores
    if point.reason:
        return (f"{point.strength:g}", str(point.seed), f"failed: {point.reason}", *[""] * (len(HEADINGS) - 3))
    return (
        f"{point.strength:g}",
        str(point.seed),
        str(point.n_activations),
        str(point.depth),
        f"{scores['linear_accuracy'].value:.1f}",
        _with_half_width(scores["accuracy"]),
        f"{scores['accuracy_drop'].value:.2f}",
        f"{scores['test_accuracy'].value:.1f}",
        f"{scores['test_drop'].value:.2f}",
        _maybe(scores.get("scratch_accuracy")),
    )


def _with_half_width(score: Score) -> str:
    half = 0.0 if score.high is None else score.high - score.value
    return f"{score.value:.1f} ± {half:.1f}"


def _maybe(score: Score | None) -> str:
    return "" if score is None else f"{score.value:.1f}"


def _mean_unfolded(result: Nonlinearity) -> str:
    return f"{fmean(each.accuracy.value for each in result.unfolded):.1f} %"


def _either(counts: Sequence[int]) -> str:
    return " or ".join(map(str, counts))
