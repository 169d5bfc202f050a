"""Which differences of latency can be told apart, from a reference measured against itself. Pure functions.

Every pair of bursts of a network against itself (A/A) gives a log-ratio that would be 0 on a silent machine. From a
long row of them, measurements are cut out as the protocol would make them: from each pair on, as many pairs as its
stopping rule takes. Measurement i has the error m_i (its centre) and the half-width h_i of its 95 % interval.

Two networks whose times truly differ by the factor 1 + x would be found to differ by d = ln(1 + x) + m_j - m_i. They
are **told apart** when the combined 95 % interval of that difference excludes zero on the right side:

    d > sqrt(h_i^2 + h_j^2)

as half-widths of independent errors add in squares. The share of all (i, j) for which this holds is the chance to tell
a difference x apart now.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..measuring.intervals import centre, is_converged, signed_rank_interval
from ..profile import MeterProtocol

DIFFERENCES = (0.01, 0.03, 0.10)
ENOUGH = 0.95
"""The chance from which on a difference counts as one that can be told apart."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """One measurement cut out of a row of pairs.

    Attributes:
        start: Its first pair.
        n_pairs: How many pairs it took.
        error: The centre of its log-ratios.
        half_width: Of the 95 % interval of that, in log-ratio; infinite where there are too few pairs.
    """

    start: int
    n_pairs: int
    error: float
    half_width: float


@dataclass(frozen=True, slots=True)
class Resolution:
    """How well one difference can be told apart.

    Attributes:
        difference: The true difference, as a fraction of the latency.
        chance: The share of pairs of measurements that tell it apart.
    """

    difference: float
    chance: float

    @property
    def is_told_apart(self) -> bool:
        """Whether that is enough."""
        return self.chance >= ENOUGH


def cut_stretches(logs: Sequence[float], protocol: MeterProtocol) -> tuple[Stretch, ...]:
    """Cuts a measurement out of a row of pairs from each of them on; the row is a ring, its end goes on at its start.

    Args:
        logs: Natural logarithms of the ratios, in the order of measuring.
        protocol: Says when a measurement stops.
    """
    longest = min(max(protocol.max_pairs, protocol.min_pairs), len(logs))
    ring = [*logs, *logs]
    stretches = []
    for start in range(len(logs)):
        n_pairs = min(protocol.min_pairs, longest)
        while n_pairs < longest and not is_converged(
            ring[start : start + n_pairs], protocol.half_width, protocol.min_pairs
        ):
            n_pairs += 1
        taken = ring[start : start + n_pairs]
        low, high = signed_rank_interval(taken)
        stretches.append(Stretch(start, n_pairs, centre(taken), (high - low) / 2))
    return tuple(stretches)


def chance_to_tell(stretches: Sequence[Stretch], difference: float) -> float:
    """The share of ordered pairs of measurements that tell a true difference apart, see above.

    Measurements that share a burst share its error, so only those that do not overlap are compared; where the row is
    too short for any two, all are.

    Args:
        stretches: From `cut_stretches`, all of one row.
        difference: The true one, as a fraction of the latency; 0 gives the share of false alarms in one direction.
    """
    starts = np.array([each.start for each in stretches])
    lengths = np.array([each.n_pairs for each in stretches])
    errors = np.array([each.error for each in stretches])
    half_widths = np.array([each.half_width for each in stretches])
    found: NDArray[np.bool_] = (
        math.log1p(difference) + errors[None, :] - errors[:, None]
        > np.hypot(half_widths[None, :], half_widths[:, None])  # (i, j)
    )
    # From i forwards around the ring to j, and from j on to i.
    ahead = (starts[None, :] - starts[:, None]) % len(stretches)
    behind = (starts[:, None] - starts[None, :]) % len(stretches)
    is_apart = (ahead >= lengths[:, None]) & (behind >= lengths[None, :])
    np.fill_diagonal(is_apart, False)
    compared = found[is_apart] if is_apart.any() else found[~np.eye(len(stretches), dtype=bool)]
    return float(compared.mean()) if compared.size else 0.0


def resolutions(stretches: Sequence[Stretch]) -> tuple[Resolution, ...]:
    """How well each of `DIFFERENCES` can be told apart."""
    return tuple(Resolution(difference, chance_to_tell(stretches, difference)) for difference in DIFFERENCES)
