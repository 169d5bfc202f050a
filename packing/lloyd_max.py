"""The best levels for numbers of a known distribution: a codebook from two numbers, with no look at the values.

Sources: Lloyd 1982, "Least Squares Quantization in PCM"; Max 1960, "Quantizing for Minimum Distortion"; Panter and
Dite 1951 for the start: the levels' density goes with the cube root of the values'.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ..hardware_profiles.errors import PackingError, unknown_name

MOST_STEPS = 100
TOLERANCE = 1e-10
"""Of the levels' movement in a step, in standard deviations."""


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Levels for mean 0 and variance 1.

    Attributes:
        centroids: float64, shape (k,), ascending.
        mse: Mean squared distance of the distribution's values to the nearest level.
    """

    centroids: Tensor
    mse: float


def fitted_levels(mean: float, std: float, k: int, distribution: str = "gaussian") -> Tensor:
    """The levels of the least mean squared error for a distribution with this mean and standard deviation.

    Args:
        k: Number of levels, at least 1.
        distribution: "gaussian" or "laplace".

    Returns:
        float64, shape (k,), ascending.

    Raises:
        PackingError: No level is asked for, or the distribution is unknown.
    """
    return mean + std * lloyd_max(k, distribution).centroids


@lru_cache(maxsize=64)
def lloyd_max(k: int, distribution: str = "gaussian") -> Levels:
    """The levels of the least mean squared error for a distribution of mean 0 and variance 1.

    Levels at the means of their cells are the best ones, as both densities are log-concave (Fleischer 1964). They are
    found by Newton's method: Lloyd's own steps take thousands of them where there are many levels.

    Args:
        k: Number of levels, at least 1.
        distribution: "gaussian" or "laplace".

    Raises:
        PackingError: No level is asked for, or the distribution is unknown.
    """
    if k < 1:
        raise PackingError(f"levels must be at least 1, got {k}: ask for more")
    if distribution not in _DISTRIBUTIONS:
        raise PackingError(unknown_name("distribution", distribution, _DISTRIBUTIONS))
    density = _DISTRIBUTIONS[distribution]
    shares = (torch.arange(k, dtype=torch.float64) + 0.5) / k
    # The cube root of either density is the same one, sqrt(3) or 3 times as wide.
    centroids = density.widened_quantiles(shares)
    for _ in range(MOST_STEPS):
        movement = _newton_step(density, centroids)
        centroids = centroids + movement
        if float(movement.abs().max()) < TOLERANCE:
            break
    edges = _edges(centroids)
    means, shares = density.means_between(edges), density.shares_between(edges)
    mse = 1 + float((shares * centroids * (centroids - 2 * means)).sum())
    return Levels(centroids, mse)


class _Distribution(ABC):
    """A symmetric distribution of mean 0 and variance 1."""

    @abstractmethod
    def density(self, x: Tensor) -> Tensor:
        """Share of the values at x, per unit."""

    @abstractmethod
    def below(self, x: Tensor) -> Tensor:
        """Share of the values below x."""

    @abstractmethod
    def moment_below(self, x: Tensor) -> Tensor:
        """Integral of the values below x."""

    @abstractmethod
    def widened_quantiles(self, shares: Tensor) -> Tensor:
        """Quantiles of the distribution whose density goes with the cube root of this one's."""

    def shares_between(self, edges: Tensor) -> Tensor:
        """Share of the values in each cell, shape (one more than edges)."""
        low, high = _ends(edges)
        # Far right both shares are next to 1 and their difference has no digits: that cell is seen from the other side.
        is_right = low > 0
        return self.below(torch.where(is_right, -low, high)) - self.below(torch.where(is_right, -high, low))

    def means_between(self, edges: Tensor) -> Tensor:
        """Mean of the values in each cell, shape (one more than edges)."""
        low, high = _ends(edges)
        return (self.moment_below(high) - self.moment_below(low)) / self.shares_between(edges)


class _Gaussian(_Distribution):
    def density(self, x: Tensor) -> Tensor:
        return torch.exp(-x * x / 2) / math.sqrt(2 * math.pi)

    def below(self, x: Tensor) -> Tensor:
        share: Tensor = torch.special.ndtr(x)
        return share

    def moment_below(self, x: Tensor) -> Tensor:
        return -self.density(x)

    def widened_quantiles(self, shares: Tensor) -> Tensor:
        quantiles: Tensor = torch.special.ndtri(shares)
        return math.sqrt(3) * quantiles


class _Laplace(_Distribution):
    """Density `exp(-|x| / b) / 2b` with b² = 1/2."""

    b = math.sqrt(0.5)

    def density(self, x: Tensor) -> Tensor:
        return torch.exp(-x.abs() / self.b) / (2 * self.b)

    def below(self, x: Tensor) -> Tensor:
        tail = torch.exp(-x.abs() / self.b) / 2
        return torch.where(x < 0, tail, 1 - tail)

    def moment_below(self, x: Tensor) -> Tensor:
        moment = -torch.exp(-x.abs() / self.b) * (x.abs() + self.b) / 2
        return torch.where(x.isinf(), 0.0, moment)

    def widened_quantiles(self, shares: Tensor) -> Tensor:
        tail = torch.minimum(shares, 1 - shares)
        return 3 * self.b * torch.where(shares < 0.5, 1, -1) * torch.log(2 * tail)


_DISTRIBUTIONS: dict[str, _Distribution] = {"gaussian": _Gaussian(), "laplace": _Laplace()}


def _newton_step(density: _Distribution, centroids: Tensor) -> Tensor:
    """How to move the levels so that each is the mean of its cell, to first order."""
    edges = _edges(centroids)
    means, shares = density.means_between(edges), density.shares_between(edges)
    # An edge follows either of its levels by half, and the means on both sides of it follow the edge.
    left = density.density(edges) * (edges - means[:-1]) / shares[:-1] / 2
    right = density.density(edges) * (means[1:] - edges) / shares[1:] / 2
    own = 1 - F.pad(left, (0, 1)) - F.pad(right, (1, 0))
    follow = own.diag() - left.diag(1) - right.diag(-1)
    # The tails of a Laplace are without memory, so that for even k a shift of all levels changes nothing to first
    # order: the smallest solution is the one that stays symmetric.
    movement: Tensor = torch.linalg.lstsq(follow, (means - centroids)[:, None], driver="gelsy").solution
    return movement[:, 0]


def _edges(centroids: Tensor) -> Tensor:
    return (centroids[1:] + centroids[:-1]) / 2


def _ends(edges: Tensor) -> tuple[Tensor, Tensor]:
    infinity = torch.full((1,), math.inf, dtype=torch.float64)
    return torch.cat([-infinity, edges]), torch.cat([edges, infinity])
