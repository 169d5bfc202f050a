"""Predicts the accuracy drop of a configuration, with its uncertainty, from tables of damage and the drops observed.

Four layers, each drawn to the one before where data are few: a scale per technique on a table (non-negative least
squares), a factor per site, a deviation per step from one choice of a site to the next, and a smooth rest for what
sites do to each other. The last three are one Gaussian process (Rasmussen & Williams 2006, chapter 2) with two linear
kernels and a squared-exponential one. The likelihood says which table to believe: what choices do to the outputs, what
they take of the weights, or none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..evaluators.sensitivity import Damages
from ..spaces import Choice, SearchSpace
from .damage_scales import LEAST_SCALE, Array, DamageScales, Rows

MAX_OBSERVED = 256
"""Observations that the process is fitted to: those with the smallest drops and the latest."""
NOISE_PT = 0.4
"""Standard deviation of an observed drop, in points, about that of a validation accuracy and of a training."""
POWER = 1.3
"""A drop in points grows about as the sum of the divergences to this power, see `drop_at` in
`benchmarks/first_order.py`."""
MOST_RUINED = 4.0
"""Times the largest drop that counts, beyond which drops tell the scales no more."""
LEAST_REST = 1.0
"""Points of drop that sites count as having at least, in what they do to each other."""
STRAYING = 0.35
"""Standard deviation of the logarithm of the factors by which what is believed of sites is varied, to explore: .2 does
as well; draws from the process itself, which is soon too sure, do worse."""
DISTRUST = 3.0
"""By how much the logarithm of the likelihood must be greater under a table that ranks choices worse as a rule."""
SPREADS: Mapping[str, tuple[float, ...]] = {
    "site": (0.15, 0.35, 0.7),
    "step": (0.0, 0.25, 0.6, 1.2),
    "rest": (0.1, 0.25, 0.5),
    "length": (0.25, 0.7),
}
"""The hyperparameters that are tried, see `_Spreads`."""
GROWTH = 1.15
"""The spreads are chosen anew by marginal likelihood whenever there are so many times the observations."""


@dataclass(frozen=True, slots=True)
class _Spreads:
    """Hyperparameters: standard deviations, and a distance.

    Attributes:
        site: Of the factor of a site, as a share of it.
        step: Of what a choice adds to the one before it, as a share of what it adds by the table and on average over
            its technique: where a table is flat, drops may not be.
        rest: Of what sites do to each other, as a share of the drop.
        length: Between configurations that are not alike in the rest.
    """

    site: float = 0.35
    step: float = 0.25
    rest: float = 0.25
    length: float = 0.7


@dataclass(frozen=True, slots=True)
class _Described:
    """What the process needs of some configurations.

    Attributes:
        drops: By the table, shape (configurations,).
        contributions: What each site adds to the compressed drop, to first order, shape (configurations, sites).
        taken: What each step on the way to a choice may add to it, shape (configurations, sites * choices).
        sizes: What the rest is a share of, in compressed points, shape (configurations,).
        levels: Positions along the sites' choices, at most about 1 apart, shape (configurations, sites).
    """

    drops: Array
    contributions: Array
    taken: Array
    sizes: Array
    levels: Array

    def effects(self, spreads: _Spreads) -> Array:
        """What a standard deviation of each site's factor, and of each step, adds, (configurations, sites + steps)."""
        return np.hstack([spreads.site * self.contributions, spreads.step * self.taken])

    def rest(self, other: _Described, spreads: _Spreads) -> Array:
        """Covariance of what sites do to each other, shape (own configurations, the other's)."""
        own, others = (self.levels**2).sum(1), (other.levels**2).sum(1)
        squares = np.maximum(own[:, None] + others[None, :] - 2 * self.levels @ other.levels.T, 0.0)
        alike = np.exp(-squares / (2 * spreads.length**2))
        return np.asarray(spreads.rest**2 * np.outer(self.sizes, other.sizes) * alike)


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
            divergences: What every choice alone does to the outputs without training, where that is known: then the
                damages count only where these turn out to mislead.
        """
        self.max_drop = max_drop
        best = [DamageScales(space, damages, divergences)] if divergences else []
        self._tables = [*best, DamageScales(space, damages), DamageScales(space, _levels(space))]
        self._scales = self._tables[0]
        self._sites = space.sites
        self._n_when_chosen = 0
        self._spreads = _Spreads()
        self._weights = np.zeros(0)
        self._cholesky = np.zeros((0, 0))
        self._steps = self._scales.steps()
        self._observed = self._described(np.zeros((0, len(self._sites)), dtype=np.int64))
        self._effects = self._observed.effects(self._spreads)

    def rows(self, configurations: Sequence[Mapping[str, Choice]]) -> Rows:
        """Configurations as positions among the choices of each site, shape (configurations, sites)."""
        return self._scales.rows(configurations)

    def fit(self, rows: Rows, drops: Sequence[float]) -> None:
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
            self._choose(rows[:n], target[:n])
        self._observed, residual = self._residual(rows, target)
        self._effects = self._observed.effects(self._spreads)
        rest = self._observed.rest(self._observed, self._spreads)
        self._cholesky = _cholesky(self._effects @ self._effects.T + rest)
        self._weights = _backward(self._cholesky, _forward(self._cholesky, residual[:, None]))[:, 0]

    def predict(self, rows: Rows) -> tuple[Array, Array]:
        """Mean and standard deviation of the compressed drop, each of shape (configurations,)."""
        described = self._described(rows)
        effects, mean = described.effects(self._spreads), self._limited(described.drops)
        prior = np.einsum("ij,ij->i", effects, effects) + self._spreads.rest**2 * described.sizes**2
        if not len(self._weights):
            return mean, np.sqrt(prior)
        cross = effects @ self._effects.T + described.rest(self._observed, self._spreads)
        mean = mean + cross @ self._weights
        half = _forward(self._cholesky, cross.T)
        variance = np.maximum(prior - np.einsum("ij,ij->j", half, half), 1e-6)
        return mean, np.sqrt(variance)

    def drops(self, configurations: Sequence[Mapping[str, Choice]]) -> Array:
        """Predicted drops in percentage points, shape (configurations,)."""
        return self.expanded(self.predict(self.rows(configurations))[0])

    def site_drops(self, rng: np.random.Generator | None = None) -> dict[str, dict[Choice, float]]:
        """Predicted compressed points that each choice of each site costs alone.

        Args:
            rng: To multiply each site's by a factor near 1, for a search that explores.
        """
        effects = self._effects.T @ self._weights
        n_sites, alone = len(self._sites), self._scales.alone()
        added = self._spreads.step * effects[n_sites:].reshape(self._steps.shape) * self._steps
        believed = (1 + self._spreads.site * effects[:n_sites, None]) * alone + np.cumsum(added, axis=1)
        drops = _rising(believed, alone)
        if rng is not None:
            drops = drops * np.exp(STRAYING * rng.standard_normal((n_sites, 1)))
        return {
            site.name: {choice: float(drops[i, k]) for k, choice in enumerate(site.choices)}
            for i, site in enumerate(self._sites)
        }

    def compressed(self, drops: Array) -> Array:
        """Points on the scale on which sites add up, logarithmic beyond the largest drop that matters; that stays."""
        return self._limited(self._stretched(drops))

    def expanded(self, compressed: Array) -> Array:
        """The inverse of `compressed`."""
        beyond = self.max_drop * np.exp(np.clip(compressed / self.max_drop - 1, 0, 20))
        return self._restored(np.where(compressed > self.max_drop, beyond, compressed))

    def _limited(self, stretched: Array) -> Array:
        beyond = self.max_drop * (1 + np.log(np.maximum(stretched, self.max_drop) / self.max_drop))
        return np.where(stretched > self.max_drop, beyond, stretched)

    def _stretched(self, drops: Array) -> Array:
        """A drop grows faster than what causes it: its root of that power, in proportion to the drop below 0."""
        whole = (1 + self.max_drop) ** (1 / POWER) - 1
        grown = ((1 + np.maximum(drops, 0.0)) ** (1 / POWER) - 1) / whole
        return np.asarray(self.max_drop * np.where(drops > 0, grown, drops / (POWER * whole)))

    def _restored(self, stretched: Array) -> Array:
        """The inverse of `_stretched`."""
        whole, shares = (1 + self.max_drop) ** (1 / POWER) - 1, stretched / self.max_drop
        grown = (1 + whole * np.maximum(shares, 0.0)) ** POWER - 1
        return np.asarray(np.where(shares > 0, grown, shares * POWER * whole))

    def _described(self, rows: Rows) -> _Described:
        drops = self._scales.drops(rows)
        # By how much a compressed drop grows with the drop.
        slopes = (self.max_drop / np.maximum(drops, self.max_drop))[:, None]
        steps = (rows[:, :, None] >= np.arange(self._steps.shape[1])) * self._steps
        most = np.array([max(1, len(site.choices) - 1) for site in self._sites])
        return _Described(
            drops,
            self._scales.contributions(rows) * slopes,
            steps.reshape(len(rows), self._steps.size) * slopes,
            np.hypot(LEAST_REST, np.minimum(drops, self.max_drop)),
            rows / most * math.sqrt(4 / max(1, len(self._sites))),
        )

    def _residual(self, rows: Rows, target: Array) -> tuple[_Described, Array]:
        """Fits the techniques' scales; gives the observations that count and what the scales leave of them."""
        kept = _kept(target)
        rows, target = rows[kept], target[kept]
        self._scales.fit(rows, self._stretched(np.minimum(self.expanded(target), MOST_RUINED * self.max_drop)))
        self._steps = self._scales.steps()
        described = self._described(rows)
        return described, target - self._limited(described.drops)

    def _choose(self, rows: Rows, target: Array) -> None:
        """The table, and the spreads with it, under which the drops are likeliest."""
        found = []
        for position, scales in enumerate(self._tables):
            self._scales = scales
            likelihood, spreads = self._likeliest(*self._residual(rows, target))
            found.append((likelihood - position * DISTRUST, spreads, scales))
        _, self._spreads, self._scales = max(found, key=lambda each: each[0])

    def _likeliest(self, seen: _Described, residual: Array) -> tuple[float, _Spreads]:
        """The spreads under which the residuals are likeliest, chosen in turn, and the logarithm of that likelihood."""
        of_sites, of_steps = seen.contributions @ seen.contributions.T, seen.taken @ seen.taken.T

        def likelihood(spreads: _Spreads) -> float:
            linear = spreads.site**2 * of_sites + spreads.step**2 * of_steps
            return _log_likelihood(linear + seen.rest(seen, spreads), residual)

        best, before = _Spreads(), None
        found = {best: likelihood(best)}
        while best != before:
            before = best
            for name, values in SPREADS.items():
                for value in values:
                    tried = replace(best, **{name: value})
                    found[tried] = found[tried] if tried in found else likelihood(tried)
                best = max(found, key=found.__getitem__)
        return found[best], best


def _levels(space: SearchSpace) -> Damages:
    """How far every choice is from neutral: all that is left where tables mislead."""
    return {
        site.name: {choice: k / max(1, len(site.choices) - 1) for k, choice in enumerate(site.choices)}
        for site in space.sites
    }


def _rising(drops: Array, alone: Array) -> Array:
    """Drops of each choice, shape (sites, choices), raised where more damage by the table would help."""
    raised = np.maximum(drops, LEAST_SCALE * alone)
    for k in range(1, drops.shape[1]):
        step = alone[:, k] - alone[:, k - 1]
        raised[:, k] = np.where(step < 0, raised[:, k], np.maximum(raised[:, k], raised[:, k - 1] + LEAST_SCALE * step))
    return raised


def _milestone(n_observed: int) -> int:
    """The last number of observations at which the spreads are chosen, a resumed search or not."""
    n = 1
    while (following := max(n + 1, math.ceil(GROWTH * n))) <= n_observed:
        n = following
    return n


def _kept(target: Array) -> Rows:
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
