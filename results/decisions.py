"""The decisions of a configuration in words, and how strong they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from ..spaces.configuration import Configuration
from ..spaces.fold import n_folded
from ..spaces.site import Choice, Site

MAX_NAMED = 4
"""Layers named per technique before the rest is only counted."""

Decided: TypeAlias = Sequence[tuple[str, Choice]]
"""Layer and choice, of one technique."""


def describe(configuration: Configuration) -> list[str]:
    """One line per technique, such as `int8 in 20 layers` or `folded: stage1.0, stage2.1 (2 activations), 3 more`."""
    by_technique: dict[str, list[tuple[str, Choice]]] = {}
    for name, choice in configuration.items():
        technique, _, layer = name.partition("/")
        by_technique.setdefault(technique, []).append((layer, choice))
    lines = [_LINES.get(technique, _other(technique))(decided) for technique, decided in by_technique.items()]
    return lines or ["unchanged"]


def word_choice(site: Site, choice: Choice) -> str:
    """One decision beside its layer: `48→24`, `int8`, `folded`, `spatial:24`."""
    word = _CHOICES.get(site.technique)
    return word(site, choice) if word else f"{site.technique} {choice}"


def strength(sites: Iterable[Site], configuration: Mapping[str, Choice], n_techniques: int) -> float:
    """How much is done to a layer: 0 where it is unchanged, 1 where every technique does the most it can.

    The positions among the ordered choices (neutral 0, strongest 1), averaged over the techniques. A folded layer is
    gone, whatever else was decided for it: 1.

    Args:
        sites: Those that touch the layer under this configuration.
        configuration: Choices by site name.
        n_techniques: Techniques of the whole space, so that layers with few sites compare with those with many.
    """
    chosen = [(site, configuration[site.name]) for site in sites if site.name in configuration]
    if any(site.technique in _REMOVES_LAYER for site, _ in chosen):
        return 1.0
    return sum(site.choices.index(choice) / (len(site.choices) - 1) for site, choice in chosen) / n_techniques


def _named(items: Sequence[str]) -> str:
    rest = [f"{len(items) - MAX_NAMED} more"] if len(items) > MAX_NAMED else []
    return ", ".join([*items[:MAX_NAMED], *rest])


def _folded(decided: Decided) -> str:
    counts = [(layer, n_folded(choice)) for layer, choice in decided]
    return f"folded: {_named([f'{layer} ({n} activations)' if n > 1 else layer for layer, n in counts])}"


def _pruned(decided: Decided) -> str:
    return f"pruned: {_named([f'{layer} to {width}' for layer, width in decided])}"


def _substituted(decided: Decided) -> str:
    return f"other operators: {_named([f'{layer} {operator}' for layer, operator in decided])}"


def _factorised(decided: Decided) -> str:
    return f"low rank: {_named([f'{layer} {rank}' for layer, rank in decided])}"


def _quantized(decided: Decided) -> str:
    counts = Counter(_bits(bits) for _, bits in decided)
    return ", ".join(f"{bits} in {count} layer{'s' if count > 1 else ''}" for bits, count in counts.items())


def _sparsified(decided: Decided) -> str:
    return f"zero weights, stored: {_named([f'{layer} {percent} %' for layer, percent in decided])}"


def _coded(decided: Decided) -> str:
    return f"few bits, stored: {_named([f'{layer} {code}' for layer, code in decided])}"


def _bits(choice: Choice) -> str:
    """`int8` where the layer computes in integers, `w4` where its weights alone are in few bits."""
    return choice if isinstance(choice, str) else f"int{choice}"


def _other(technique: str) -> Callable[[Decided], str]:
    return lambda decided: f"{technique}: {_named([f'{layer} {choice}' for layer, choice in decided])}"


_REMOVES_LAYER = frozenset({"fold"})
# How each technique is worded; one that is not listed is worded by its own name.
_LINES: dict[str, Callable[[Decided], str]] = {
    "fold": _folded,
    "prune": _pruned,
    "operator": _substituted,
    "rank": _factorised,
    "bits": _quantized,
    "sparsity": _sparsified,
    "code": _coded,
}
_CHOICES: dict[str, Callable[[Site, Choice], str]] = {
    "fold": lambda site, choice: "folded",
    "prune": lambda site, choice: f"{site.neutral}→{choice}",
    "operator": lambda site, choice: str(choice),
    "rank": lambda site, choice: str(choice),
    "bits": lambda site, choice: _bits(choice),
    "sparsity": lambda site, choice: f"{choice} % zero",
    "code": lambda site, choice: str(choice),
}
