"""The time of one operator by its shape: looked up where it was seen, else estimated from operators like it.

The estimate is a power law with second-order terms: log(µs / MACs) is linear in the logarithms of the channels, the
kernel and the positions. It is fitted on three levels, by ridge regression: over all operators, over those of one
precision, over those of one kernel, stride and number of positions. The coefficients of a level are drawn to those of
the level above, so that a kind of operator of which little was seen behaves like the others.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Hashable

import numpy as np

from .layer_forms import Part
from .ridge import Ridge, Vector

BLOCK = 16
"""Channels that a runtime computes at once (floats in an AVX-512 register); a part of a block costs a whole one."""
SPARSE_COST = 2.5
"""How many weights are computed in the time of one among zeros that are skipped: about 2.5 in PyTorch, see
`benchmarks/sparse_execution.py`."""
UNTRIED = 2.2
"""Times as long as estimated that an operator of a kind which was never timed may take. A search takes what is cheapest
by the estimates, so it meets the kinds that are estimated too low: there they took several times as long."""
_CENTRE = math.log(64)
_N_TERMS = 11
_PENALTIES = (
    (1e-9,) + (1.0,) * 4 + (10.0,) * 3 + (30.0, 30.0, 1.0),
    (0.001,) + (0.1,) * 7 + (10.0, 10.0, 0.1),
    (0.003,) + (0.1,) * 4 + (0.3,) * 3 + (10.0, 10.0, 0.1),
)
"""By level. The first candidate alone has different kinds of operators but one width of each: what all kinds share is
therefore held close to a time in proportion to the MACs, and the slopes are learnt where widths differ. A part of a
block is held to cost what the block does: in a few candidates narrow layers are those with parts."""


class OperatorTimes:
    """What operators took so far, and what others should take."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, list[float]] = {}  # logarithms, sorted
        self._levels: dict[Hashable, Ridge] = {}
        self._coefficients: dict[Hashable, Vector] = {}
        self._cache: dict[Part, float] = {}

    def add(self, part: Part, microseconds: float) -> None:
        """Adds the time of one operator, above 0 µs."""
        bisect.insort(self._seen.setdefault(_shape(part), []), math.log(microseconds))
        row, target = _row(part), math.log(microseconds / _block_macs(part))
        for key, penalties in zip(_groups(part), _PENALTIES, strict=True):
            if key not in self._levels:
                self._levels[key] = Ridge(penalties)
            self._levels[key].add(row, target)
        self._coefficients.clear()
        self._cache.clear()

    def microseconds(self, part: Part) -> float:
        """The median of what was seen at this shape, else the estimate; before anything was seen 1 µs per MAC."""
        if part not in self._cache:
            seen = self._seen.get(_shape(part), [])
            # The middle of the sorted logarithms, of the two in the middle the mean.
            middle = len(seen) // 2
            self._cache[part] = math.exp((seen[middle] + seen[-1 - middle]) / 2) if seen else self._estimate(part)
        return self._cache[part]

    def doubt_us(self, part: Part) -> float:
        """What an operator may take beyond `microseconds`; nothing where its kind was timed."""
        return 0.0 if _groups(part)[-1] in self._levels else (UNTRIED - 1) * self.microseconds(part)

    def _estimate(self, part: Part) -> float:
        *above, last = _groups(part)
        return _block_macs(part) * math.exp(float(_row(part) @ self._fit((*above, last))))

    def _fit(self, groups: tuple[Hashable, ...]) -> Vector:
        """The coefficients of the last of the groups, which lie in each other."""
        if not groups:
            return np.zeros(_N_TERMS)
        key = groups[-1]
        if key not in self._coefficients:
            expected = self._fit(groups[:-1])
            level = self._levels.get(key)
            self._coefficients[key] = expected if level is None else level.coefficients(expected)
        return self._coefficients[key]


def _groups(part: Part) -> tuple[Hashable, ...]:
    executed = part.bits, part.density < 1
    return ("all",), executed, (*executed, part.kernel_size, part.stride, part.groups > 1, part.n_positions)


def _shape(part: Part) -> Hashable:
    """Everything the time depends on: layers of one shape take the same time, whatever their names."""
    shape = part.kernel_size, part.stride, part.groups, part.n_positions, part.inner, part.outer
    return part.bits, part.density, shape


def _in_blocks(channels: int) -> int:
    return -(-channels // BLOCK) * BLOCK


def _read(channels: int) -> int:
    """What inputs are computed: fewer than a block, as those of an image, are read as they are."""
    return channels if channels < BLOCK else _in_blocks(channels)


def _block_macs(part: Part) -> float:
    per_output = 1 if part.groups > 1 else _read(part.inner)
    macs = float(per_output * _in_blocks(part.outer) * math.prod(part.kernel_size) * part.n_positions)
    return macs if part.density == 1 else macs * part.density * SPARSE_COST


def _row(part: Part) -> Vector:
    """What the time per MAC may depend on, each of the order of 1."""
    inner, outer = math.log(_read(part.inner)) - _CENTRE, math.log(_in_blocks(part.outer)) - _CENTRE
    positions, area = math.log(part.n_positions) / 4 - 1, math.log(math.prod(part.kernel_size))
    return np.array(
        [
            1.0,
            inner,
            outer,
            positions,
            area,
            inner * inner,
            outer * outer,
            inner * outer,
            float(part.inner % BLOCK > 0),
            float(part.outer % BLOCK > 0),
            float(part.groups > 1),
        ]
    )
