"""Predicts the accuracy drop of a configuration, with its uncertainty, from tables of damage and the drops observed.

Three layers, each drawn to the one before where data are few: a scale per technique on the tables' damages
(non-negative least squares), a deviation per site, and a smooth rest for what sites do to each other. The last two are
one Gaussian process (Rasmussen & Williams 2006, chapter 2) with a linear and a squared-exponential kernel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..evaluators.sensitivity import Damages
from ..spaces import Choice, SearchSpace, Site

Array = NDArray[np.float64]

POWERS: Mapping[str, tuple[float, ...]] = {"prune": (2.0, 6.0)}
"""How drop grows with damage: pruning is harmless at first and ruinous at the end. Once with all else."""
PRIOR_DROPS: Mapping[str, tuple[float, ...]] = {"prune": (2.0, 12.0), "rank": (4.0,), "fold": (3.0,), "bits": (0.3,)}
"""Points lost when every site of a technique takes its strongest choice, before anything was observed."""
UNKNOWN_PRIOR = (2.0,)
DIVERGENCE_PRIOR = 1.0
_DIVERGENCE = -1
"""Stands for the power of a column that holds divergences instead of damages."""
PRIOR_WEIGHT = 0.05
LEAST_SCALE = 0.05
"""Share of the prior that a technique or a site keeps: more damage never helps, whatever a few noisy drops say."""
MAX_OBSERVED = 256
"""Observations that the process is fitted to: those with the smallest drops and the latest."""
NOISE_PT = 0.4
"""Standard deviation of an observed drop, in points, about that of a validation accuracy and of a training."""
SITE_SPREADS = (0.3, 1.0, 2.0)
REST_SPREADS = (0.3, 1.0, 3.0)
LENGTHS = (0.25, 0.7)
GROWTH = 1.15
"""The spreads are chosen anew by marginal likelihood whenever there are so many times the observations."""


@dataclass(frozen=True, slots=True)
class _Spreads:
    """Hyperparameters: of a site's deviation, of the rest in points, and how far apart configurations are alike."""

    site: float
    rest: float
    length: float


class DropSurrogate:
    """Drop in percentage points; large drops are compressed, as they matter less and would rule the fit.

    Attributes:
        max_drop: Points beyond which drops are compressed logarithmically.
    """

    def __init__(
        self, space: SearchSpace, damages: Damages, max_drop: float, divergences: Damages | None = None
    ) -> None:
        """Begins with the prior.

        Args:
            space: What may be chosen.
            damages: Of every choice of every site, 0 for neutral; only their proportions matter.
            max_drop: In points; see the attribute.
            divergences: What every choice alone does to the outputs without training, likewise; they get a scale per
                technique of their own.
        """
        self.max_drop = max_drop
        self._sites = space.sites
        self._position = [{choice: i for i, choice in enumerate(site.choices)} for site in self._sites]
        columns = [
            (i, site.technique, k) for i, site in enumerate(self._sites) for k in range(len(_powers(site.technique)))
        ]
        if divergences:
            columns += [(i, site.technique, _DIVERGENCE) for i, site in enumerate(self._sites)]
        self._column_site = np.array([i for i, _, _ in columns])
        width = max((len(site.choices) for site in self._sites), default=1)
        self._features = np.zeros((len(columns), width))
        for column, (i, _, k) in enumerate(columns):
            site = self._sites[i]
            values = _column(site, damages, k) if divergences is None or k >= 0 else _column(site, divergences, k)
            self._features[column, : len(values)] = values
        self._levels = np.zeros((len(self._sites), width))
        for i, site in enumerate(self._sites):
            self._levels[i, : len(site.choices)] = np.arange(len(site.choices)) / max(1, len(site.choices) - 1)
        self._set_prior(columns)
        self._observed = np.zeros((0, len(self._sites)), dtype=np.int64)
        self._n_when_chosen = 0
        self._spreads = _Spreads(SITE_SPREADS[1], REST_SPREADS[1], LENGTHS[1])
        self._weights = np.zeros(0)
        self._cholesky = np.zeros((0, 0))
        self._deviations = np.zeros(len(self._sites))

    def rows(self, configurations: Sequence[Mapping[str, Choice]]) -> NDArray[np.int64]:
        """Configurations as positions among the choices of each site, shape (configurations, sites)."""
        found = np.zeros((len(configurations), len(self._sites)), dtype=np.int64)
        column = {site.name: i for i, site in enumerate(self._sites)}
        for row, choices in zip(found, configurations, strict=True):
            for name, choice in choices.items():
                row[column[name]] = self._position[column[name]][choice]
        return found

    def fit(self, rows: NDArray[np.int64], drops: Sequence[float]) -> None:
        """Fits everything anew.

        Args:
            rows: Of observed configurations, in the order of observation, see `rows`.
            drops: Observed, in percentage points.
        """
        if not len(rows):
            return
        target = self.compressed(np.asarray(drops))
        n = _milestone(len(rows))
        if n != self._n_when_chosen:
            self._n_when_chosen = n
            self._choose_spreads(*self._residual(rows[:n], target[:n]))
        self._observed, residual = self._residual(rows, target)
        self._solve(self._observed, residual)

    def predict(self, rows: NDArray[np.int64]) -> tuple[Array, Array]:
        """Mean and standard deviation of the compressed drop, each of shape (configurations,)."""
        mean = self._mean(rows)
        prior = self._prior_variance(rows)
        if not len(self._observed):
            return mean, np.sqrt(prior)
        cross = self._kernel(rows, self._observed, self._spreads)
        mean = mean + cross @ self._weights
        half = _forward(self._cholesky, cross.T)
        variance = np.maximum(prior - np.einsum("ij,ij->j", half, half), 1e-6)
        return mean, np.sqrt(variance)

    def drops(self, configurations: Sequence[Mapping[str, Choice]]) -> Array:
        """Predicted drops in percentage points, shape (configurations,)."""
        return self.expanded(self.predict(self.rows(configurations))[0])

    def site_drops(self, noise: Array | None = None) -> dict[str, dict[Choice, float]]:
        """Predicted compressed points that each choice of each site costs alone.

        Args:
            noise: Standard normal numbers, one per site: to draw the sites' scales rather than take their means, shape
                (sites,).
        """
        scales = 1 + self._deviations
        if noise is not None:
            scales = scales * np.exp(0.5 * self._spreads.site * noise)
        scales = np.maximum(scales, LEAST_SCALE)
        alone = np.zeros(self._levels.shape)
        np.add.at(alone, self._column_site, self._features * self._scales[:, None])
        return {
            site.name: {choice: float(scales[i] * alone[i, k]) for k, choice in enumerate(site.choices)}
            for i, site in enumerate(self._sites)
        }

    def compressed(self, drops: Array) -> Array:
        """Points as they are up to the largest that matters, logarithmic beyond."""
        beyond = self.max_drop * (1 + np.log(np.maximum(drops, self.max_drop) / self.max_drop))
        return np.where(drops > self.max_drop, beyond, drops)

    def expanded(self, compressed: Array) -> Array:
        """The inverse of `compressed`."""
        beyond = self.max_drop * np.exp(np.clip(compressed / self.max_drop - 1, 0, 20))
        return np.where(compressed > self.max_drop, beyond, compressed)

    def _set_prior(self, columns: list[tuple[int, str, int]]) -> None:
        groups = sorted({(technique, k) for _, technique, k in columns})
        self._group = np.array([groups.index((technique, k)) for _, technique, k in columns], dtype=np.int64)
        strongest = np.zeros(len(groups))
        np.add.at(strongest, self._group, self._features.max(1, initial=0.0))
        self._spread_of_prior = np.maximum(strongest, 1e-9)
        expected = np.array([_prior(technique, k) for technique, k in groups])
        self._prior = expected / self._spread_of_prior
        self._offset = 0.0
        self._technique_scales = self._prior.copy()

    @property
    def _scales(self) -> Array:
        return np.asarray(self._technique_scales[self._group])

    def _column_values(self, rows: NDArray[np.int64]) -> Array:
        """Damage features, shape (configurations, columns)."""
        return np.asarray(self._features[np.arange(len(self._features)), rows[:, self._column_site]])

    def _grouped(self, rows: NDArray[np.int64]) -> Array:
        grouped = np.zeros((len(rows), len(self._prior)))
        np.add.at(grouped.T, self._group, self._column_values(rows).T)
        return grouped

    def _contributions(self, rows: NDArray[np.int64]) -> Array:
        """Points that each site costs by its technique's scale, shape (configurations, sites)."""
        found = np.zeros((len(rows), len(self._sites)))
        np.add.at(found.T, self._column_site, (self._column_values(rows) * self._scales).T)
        return found

    def _mean(self, rows: NDArray[np.int64]) -> Array:
        return np.asarray(self._offset + self._grouped(rows) @ self._technique_scales)

    def _fit_techniques(self, grouped: Array, target: Array) -> None:
        """Offset and one scale per technique, none negative, drawn to the prior where data are few."""
        from scipy.optimize import nnls

        n = grouped.shape[1]
        prior_rows = np.hstack([np.zeros((n, 1)), np.diag(np.sqrt(PRIOR_WEIGHT) * self._spread_of_prior)])
        design = np.vstack([np.hstack([np.ones((len(grouped), 1)), grouped]), prior_rows])
        aim = np.concatenate([target, np.sqrt(PRIOR_WEIGHT) * self._spread_of_prior * self._prior])
        solution, _ = nnls(design, aim)
        self._offset = float(solution[0])
        self._technique_scales = np.maximum(solution[1:], LEAST_SCALE * self._prior)

    def _kernel(self, a: NDArray[np.int64], b: NDArray[np.int64], spreads: _Spreads) -> Array:
        linear = self._contributions(a) @ self._contributions(b).T
        smooth = np.exp(-self._distances(a, b) / (2 * spreads.length**2))
        return np.asarray(spreads.site**2 * linear + spreads.rest**2 * smooth)

    def _prior_variance(self, rows: NDArray[np.int64]) -> Array:
        contributions = self._contributions(rows)
        own = np.einsum("ij,ij->i", contributions, contributions)
        return np.asarray(self._spreads.site**2 * own + self._spreads.rest**2)

    def _distances(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> Array:
        """Squared distances between configurations as positions along their sites' choices; at most about 1."""
        first, second = self._scaled_levels(a), self._scaled_levels(b)
        squares = (first**2).sum(1)[:, None] + (second**2).sum(1)[None, :] - 2 * first @ second.T
        return np.asarray(np.maximum(squares, 0.0))

    def _scaled_levels(self, rows: NDArray[np.int64]) -> Array:
        levels = self._levels[np.arange(len(self._sites)), rows]
        return np.asarray(levels * math.sqrt(4 / max(1, len(self._sites))))

    def _residual(self, rows: NDArray[np.int64], target: Array) -> tuple[NDArray[np.int64], Array]:
        """Fits the techniques' scales; gives the observations that count and what the scales leave of them."""
        kept = _kept(target)
        rows, target = rows[kept], target[kept]
        self._fit_techniques(self._grouped(rows), target)
        return rows, target - self._mean(rows)

    def _choose_spreads(self, rows: NDArray[np.int64], residual: Array) -> None:
        """The spreads under which the residuals are likeliest."""
        contributions = self._contributions(rows)
        linear, distances = contributions @ contributions.T, self._distances(rows, rows)
        best = -math.inf
        for length in LENGTHS:
            smooth = np.exp(-distances / (2 * length**2))
            for site in SITE_SPREADS:
                for rest in REST_SPREADS:
                    likelihood = _log_likelihood(site**2 * linear + rest**2 * smooth, residual)
                    if likelihood > best:
                        best, self._spreads = likelihood, _Spreads(site, rest, length)

    def _solve(self, rows: NDArray[np.int64], residual: Array) -> None:
        kernel = self._kernel(rows, rows, self._spreads)
        self._cholesky = _cholesky(kernel)
        half = _forward(self._cholesky, residual[:, None])
        self._weights = _backward(self._cholesky, half)[:, 0]
        self._deviations = self._spreads.site**2 * (self._contributions(rows).T @ self._weights)


def _column(site: Site, damages: Damages, k: int) -> list[float]:
    """A feature of every choice of a site."""
    # A group of coupled layers loses the channel in each of them; a divergence is that of all of them together.
    n_layers = len(site.layers) if site.technique == "prune" and k >= 0 else 1
    power = 1.0 if k == _DIVERGENCE else _powers(site.technique)[k]
    return [n_layers * math.pow(max(0.0, damages[site.name][choice]), power) for choice in site.choices]


def _prior(technique: str, k: int) -> float:
    return DIVERGENCE_PRIOR if k == _DIVERGENCE else PRIOR_DROPS.get(technique, UNKNOWN_PRIOR)[k]


def _powers(technique: str) -> tuple[float, ...]:
    return POWERS.get(technique, (1.0,))


def _milestone(n_observed: int) -> int:
    """The last number of observations at which the spreads are chosen, a resumed search or not."""
    n = 1
    while (following := max(n + 1, math.ceil(GROWTH * n))) <= n_observed:
        n = following
    return n


def _kept(target: Array) -> NDArray[np.int64]:
    """Positions of the observations that the fit uses, in order: where there are too many, the best and the latest."""
    if len(target) <= MAX_OBSERVED:
        return np.arange(len(target))
    latest = np.arange(len(target) - MAX_OBSERVED // 2, len(target))
    best = np.argsort(target[: latest[0]], kind="stable")[: MAX_OBSERVED - len(latest)]
    return np.sort(np.concatenate([best, latest]))


def _log_likelihood(kernel: Array, residual: Array) -> float:
    cholesky = _cholesky(kernel)
    half = _forward(cholesky, residual[:, None])[:, 0]
    return float(-0.5 * half @ half - np.log(np.diag(cholesky)).sum())


def _cholesky(kernel: Array) -> Array:
    """Of the covariance of noisy observations."""
    return np.asarray(np.linalg.cholesky(kernel + NOISE_PT**2 * np.eye(len(kernel))), np.float64)


def _forward(cholesky: Array, right: Array) -> Array:
    from scipy.linalg import solve_triangular

    return np.asarray(solve_triangular(cholesky, right, lower=True, check_finite=False))


def _backward(cholesky: Array, right: Array) -> Array:
    from scipy.linalg import solve_triangular

    return np.asarray(solve_triangular(cholesky, right, lower=True, trans=1, check_finite=False))
