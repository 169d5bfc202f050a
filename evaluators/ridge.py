"""Least squares with a penalty on every coefficient, in closed form, one observation after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


class Ridge:
    """Minimises Σ weight (target - row · coefficients)² + Σ penalty (coefficient - expected)².

    Only sums over the observations are kept, so that adding one costs the same however many came before.
    """

    def __init__(self, penalties: Sequence[float]) -> None:
        """Without observations the coefficients are what is expected.

        Args:
            penalties: Above 0, one for each coefficient.
        """
        self._penalties = np.asarray(penalties, np.float64)
        self._moments = np.diag(self._penalties)
        self._targets = np.zeros(len(penalties))

    def add(self, row: Vector, target: float, weight: float = 1.0) -> None:
        """Adds one observation.

        Args:
            row: Shape (coefficients,).
            target: What the row times the coefficients should give.
            weight: How many observations it counts as.
        """
        self._moments += weight * np.outer(row, row)
        self._targets += weight * target * row

    def coefficients(self, expected: Vector | float = 0.0) -> Vector:
        """Shape (coefficients,).

        Args:
            expected: What the coefficients are drawn to, shape (coefficients,) or one number for all.
        """
        solution = np.linalg.solve(self._moments, self._targets + self._penalties * expected)
        return solution.astype(np.float64, copy=False)
