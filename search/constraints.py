"""Limits that people set: they steer the search and filter the front."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..hardware_profiles.errors import SearchError
from .objectives import QUANTITIES, Objective, quantity_name
from .trial import Trial

_NUMBER = r"-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_TEXT = re.compile(rf"\s*([\w@.\-]+?)\s*(<=|>=|<|>|==?)\s*({_NUMBER})\s*([A-Za-z%]*)\s*")
_SEPARATOR = re.compile(r",|\band\b")
_ALIASES = {quantity.score: name for name, quantity in QUANTITIES.items()} | {"drop": "accuracy"}
_BINARY = {f"{k.lower()}ib": 2 ** (10 * n) for n, k in enumerate("KMG", 1)}
_DECIMAL = {"": 1, "b": 1, "bytes": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9}
_COUNTS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_UNITS: Mapping[str, Mapping[str, float]] = {
    "pt": {"": 1, "pt": 1, "pts": 1, "%": 1},
    "ms": {"": 1, "ms": 1, "us": 1e-3, "s": 1e3},
    "bytes": {**_DECIMAL, **_BINARY, "k": 1e3, "m": 1e6, "g": 1e9},
    "MACs": {**_COUNTS, **{f"{k}macs": factor for k, factor in _COUNTS.items()}},
    "mJ": {"": 1, "mj": 1, "uj": 1e-3, "j": 1e3},
}
"""What a number is multiplied by, for each way to write the unit of a quantity."""
_SHOWN_UNITS: Mapping[str, Mapping[str, float]] = {
    "bytes": {"GB": 1e9, "MB": 1e6, "kB": 1e3},
    "MACs": {"G": 1e9, "M": 1e6, "k": 1e3},
}
"""The units that a limit is shown in, where its number is exact in them."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """An upper limit on one score, all of which are better when lower.

    Attributes:
        name: The quantity as people write it: `accuracy` (its drop), `latency`, `latency@board`, `size`.
        limit: In the unit of the score.
    """

    name: str
    limit: float

    @property
    def score(self) -> str:
        """Name of the score that it limits."""
        return Objective(self.name).score

    @property
    def is_structural(self) -> bool:
        """Whether it can be decided before any training."""
        return Objective(self.name).quantity.is_structural

    @property
    def text(self) -> str:
        """As it is shown, and understood by `parse_constraint`: `accuracy_drop<=1pt`, `latency<=5ms`, `size<=2MB`."""
        unit = Objective(self.name).quantity.unit
        name = "accuracy_drop" if self.name == "accuracy" else self.name
        for shown, factor in _SHOWN_UNITS.get(unit, {}).items():
            number = f"{self.limit / factor:.12g}"
            if self.limit >= factor and float(number) * factor == self.limit:
                return f"{name}<={number}{shown}"
        return f"{name}<={self.limit:.12g}{'' if unit in _SHOWN_UNITS else unit}"

    def is_kept_by(self, trial: Trial, slack: float = 0.0) -> bool:
        """Whether a trial's score is within the limit, plus a slack in the score's unit."""
        return self.score in trial.scores and trial.value(self.score) <= self.limit + slack

    def is_surely_broken_by(self, low: float) -> bool:
        """Whether even the lower end of a measured interval is beyond the limit."""
        return low > self.limit


def parse_constraints(text: str, profiles: Sequence[str] = ()) -> tuple[Constraint, ...]:
    """Several limits with commas or `and` between them: `accuracy_drop<=1pt and size<=2MB`; see `parse_constraint`."""
    return tuple(parse_constraint(each, profiles) for each in _SEPARATOR.split(text))


def parse_constraint(text: str, profiles: Sequence[str] = ()) -> Constraint:
    """A limit as people write it: `accuracy_drop<=1pt` (or `1%`), `latency<=5ms`, `size<=2MB`, `macs<=10M`.

    Args:
        text: What was written.
        profiles: Names of the hardware profiles that measure, the main one first.

    Raises:
        SearchError: Not understood; says how to write it.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise SearchError(f'a constraint reads like "accuracy_drop<=1pt" or "latency<=5ms", got {text!r}: rewrite it')
    name, operator, number, unit = found.groups()
    base, at, profile = name.partition("@")
    if base == "accuracy":
        raise SearchError(f'limit the accuracy by what it may lose, got {text!r}: write "accuracy_drop<=1pt"')
    if operator not in ("<=", "<"):
        raise SearchError(f"every quantity is better when lower, so that a limit is an upper one, got {text!r}: use <=")
    name = quantity_name(f"{_ALIASES.get(base, base)}{at}{profile}", profiles)
    units = _UNITS[QUANTITIES[name.partition("@")[0]].unit]
    if unit.lower() not in units:
        raise SearchError(f"the unit of {base} must be one of {', '.join(filter(None, units))}, got {text!r}: use one")
    limit = float(number) * units[unit.lower()]
    if limit <= 0 and name != "accuracy":
        raise SearchError(f"a limit on {base} must be above 0, got {text!r}: no network keeps it")
    return Constraint(name, limit)
