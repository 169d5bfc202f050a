"""The effective degree of non-linearity: how few activations keep the accuracy, and how sure that is. Pure.

Source: Ben Dror et al. 2022, "Layer Folding"; METHODS section 6. Our definition, as theirs is by eye:

- of one seed: the fewest activations among its folded networks, and the unfolded one, whose accuracy on the validation
  split is at most `tolerance_pt` below the unfolded network's;
- of several: the median, the higher of the middle two, so that it is not flattered;
- its interval: the 2.5 and 97.5 % quantiles over bootstrap draws; each draws the seeds with replacement, and every
  drop from a normal distribution around the measured one, with its paired standard error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_DRAWS = 2_000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class FoldedNetwork:
    """One folded network, as far as the degree depends on it.

    Attributes:
        seed: Of its training.
        n_activations: Those that it has left.
        drop_pt: Accuracy lost against the unfolded network of the same seed, in percentage points.
        error_pt: Standard error of the drop, in percentage points.
    """

    seed: int
    n_activations: int
    drop_pt: float
    error_pt: float = 0.0


@dataclass(frozen=True, slots=True)
class EffectiveDegree:
    """How few activations keep the accuracy.

    Attributes:
        n_activations: The degree.
        low: Lower end of its 95 % interval.
        high: Upper end.
        tolerance_pt: Accuracy that may be lost, in percentage points.
        by_seed: The degree of each seed.
    """

    n_activations: int
    low: int
    high: int
    tolerance_pt: float
    by_seed: Mapping[int, int]


def effective_degree(
    networks: Sequence[FoldedNetwork], n_all: int, tolerance_pt: float, *, seed: int = 0, n_draws: int = N_DRAWS
) -> EffectiveDegree:
    """The degree of a sweep; that of the unfolded network where no folded one keeps the accuracy.

    Args:
        networks: The folded networks of all seeds.
        n_all: Activations of the unfolded network.
        tolerance_pt: Accuracy that may be lost, in percentage points.
        seed: Of the bootstrap.
        n_draws: Of the bootstrap.
    """
    by_seed = {
        each: _Curve.of([network for network in networks if network.seed == each])
        for each in sorted({network.seed for network in networks})
    }
    degrees = {each: curve.degree(curve.drops, n_all, tolerance_pt) for each, curve in by_seed.items()}
    if not degrees:
        return EffectiveDegree(n_all, n_all, n_all, tolerance_pt, {})
    generator = np.random.default_rng(seed)
    curves = list(by_seed.values())
    drawn = []
    for _ in range(n_draws):
        chosen = [curves[i] for i in generator.integers(len(curves), size=len(curves))]
        drawn.append(
            _upper_median(
                [each.degree(generator.normal(each.drops, each.errors), n_all, tolerance_pt) for each in chosen]
            )
        )
    drawn.sort()
    tail = (1 - CONFIDENCE) / 2
    low, high = drawn[math.floor(tail * (n_draws - 1))], drawn[math.ceil((1 - tail) * (n_draws - 1))]
    return EffectiveDegree(_upper_median(list(degrees.values())), low, high, tolerance_pt, degrees)


@dataclass(frozen=True, slots=True)
class _Curve:
    """The networks of one seed, as arrays of shape (n,)."""

    n_activations: NDArray[np.int64]
    drops: NDArray[np.float64]
    errors: NDArray[np.float64]

    @classmethod
    def of(cls, networks: Sequence[FoldedNetwork]) -> _Curve:
        return cls(
            np.array([each.n_activations for each in networks]),
            np.array([each.drop_pt for each in networks]),
            np.array([each.error_pt for each in networks]),
        )

    def degree(self, drops: NDArray[np.float64], n_all: int, tolerance_pt: float) -> int:
        kept = self.n_activations[drops <= tolerance_pt]
        return min(n_all, int(kept.min())) if len(kept) else n_all


def _upper_median(degrees: Sequence[int]) -> int:
    return sorted(degrees)[len(degrees) // 2]
