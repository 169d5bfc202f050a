"""Rates that people give by patterns of layer names, made into one rate per layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from ..hardware_profiles.errors import TrainingError

_SHOWN = 8


def rates_by_layer(rates: Mapping[str, float | None], layers: Iterable[str]) -> dict[str, float]:
    """The rate of every layer that one is given for.

    A layer named by itself wins over patterns; of several patterns the last one wins. A pattern that matches a
    factorised layer matches its factors.

    Args:
        rates: By layer or pattern (`*`, `?`, `[...]`); None leaves a layer alone.
        layers: All names.

    Raises:
        TrainingError: A pattern matches no layer.
    """
    names = list(layers)
    found: dict[str, float | None] = {}
    # Whole names last, so that they win.
    for pattern, rate in sorted(rates.items(), key=lambda item: item[0] in names):
        matched = [name for name in names if matches(name, pattern)]
        if not matched:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            raise TrainingError(
                f"{pattern!r} must match a layer, but matches none: layers are {', '.join(names[:_SHOWN])}{more}"
            )
        found |= dict.fromkeys(matched, rate)
    return {name: rate for name, rate in found.items() if rate is not None}


def matches(layer: str, pattern: str) -> bool:
    """Whether a pattern is for a layer, or for the layer that it is a factor of."""
    parent, _, last = layer.rpartition(".")
    return fnmatchcase(layer, pattern) or (last.isdecimal() and parent != "" and fnmatchcase(parent, pattern))
