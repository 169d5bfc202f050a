"""What sites cost by the tables of damage, with one scale per technique that is fitted to the drops observed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..evaluators.sensitivity import Damages
from ..spaces import Choice, SearchSpace, Site

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
"""Configurations as positions among the choices of each site, shape (configurations, sites)."""

POWERS: Mapping[str, tuple[float, ...]] = {"prune": (2.0, 6.0), "operator": (1.0, 3.0)}
"""How drop grows with damage: pruning and operators are harmless at first and ruinous at the end. In proportion with
all else."""
PRIOR_DROPS: Mapping[str, tuple[float, ...]] = {
    "prune": (2.0, 12.0),
    "operator": (2.0, 12.0),
    "rank": (4.0,),
    "fold": (3.0,),
    "bits": (0.3,),
    "sparsity": (4.0,),
    "code": (8.0,),
}
"""Points lost when every site of a technique takes its strongest choice, before anything was observed."""
UNKNOWN_PRIOR = (2.0,)
POINTS_PER_DIVERGENCE = 50.0
"""Points lost per unit of divergence: on four networks, without training, .1 cost 2-5 points and .5 some 45, see
`drop_at` in `benchmarks/first_order.py`."""
COMMON_SPREAD, OWN_SPREAD = 0.7, 0.5
"""Standard deviations, as shares of the prior, of the factor that all scales share and of each scale beside it."""
OFFSET_SPREAD = 0.5
"""Points, of what every configuration loses."""
NOISE, RELATIVE_NOISE = 0.4, 0.3
"""Standard deviation of a drop: in points, and as a share of it, as what destroys much is no plain sum over sites."""
LEAST_SCALE = 0.05
"""Share of the prior that a technique or a site keeps: more damage never helps, whatever a few noisy drops say."""
_DIVERGENCE = -1
"""Stands for the power of a column that holds divergences instead of damages."""


class DamageScales:
    """A drop as a sum over sites: non-negative least squares, drawn to the prior where data are few."""

    def __init__(self, space: SearchSpace, damages: Damages, divergences: Damages | None = None) -> None:
        """Begins with the prior.

        Args:
            space: What may be chosen.
            damages: Of every choice of every site, 0 for neutral; only their proportions matter.
            divergences: What every choice alone does to the outputs without training, where that is known: then the
                damages do not count.
        """
        self.sites = space.sites
        self._position = {
            site.name: (i, {choice: k for k, choice in enumerate(site.choices)}) for i, site in enumerate(self.sites)
        }
        if divergences:
            tables = [(i, _DIVERGENCE, divergences) for i in range(len(self.sites))]
        else:
            tables = [(i, k, damages) for i, site in enumerate(self.sites) for k in range(len(_powers(site.technique)))]
        width = max((len(site.choices) for site in self.sites), default=1)
        self._column_site = np.array([i for i, _, _ in tables])
        self._features = np.zeros((len(tables), width))
        for column, (i, k, table) in enumerate(tables):
            self._features[column, : len(self.sites[i].choices)] = _column(self.sites[i], k, table)
        kinds = [(self.sites[i].technique, k) for i, k, _ in tables]
        groups = sorted(set(kinds))
        self._group = np.array([groups.index(kind) for kind in kinds], dtype=np.int64)
        self._prior = self._priors(groups)
        self._offset, self._scales = 0.0, self._prior.copy()

    def rows(self, configurations: Sequence[Mapping[str, Choice]]) -> Rows:
        """Configurations as `Rows`."""
        found = np.zeros((len(configurations), len(self.sites)), dtype=np.int64)
        for row, choices in zip(found, configurations, strict=True):
            for name, choice in choices.items():
                site, positions = self._position[name]
                row[site] = positions[choice]
        return found

    def fit(self, rows: Rows, drops: Array) -> None:
        """Fits the offset and the scales, none of them negative: first what they have in common, then each.

        Args:
            rows: At least one.
            drops: In points, shape (configurations,).
        """
        from scipy.optimize import nnls

        grouped = self._grouped(rows)
        certainty = 1 / np.hypot(NOISE, RELATIVE_NOISE * drops)
        expected, observed = grouped @ self._prior * certainty, drops * certainty
        weight = 1 / COMMON_SPREAD**2
        common = (weight + expected @ observed) / (weight + expected @ expected)
        prior = self._prior * max(LEAST_SCALE, float(common))
        pull = 1 / (OWN_SPREAD * prior)
        design = np.block(
            [
                [certainty[:, None], grouped * certainty[:, None]],
                [np.zeros((len(pull), 1)), np.diag(pull)],
                [np.full((1, 1), 1 / OFFSET_SPREAD), np.zeros((1, len(pull)))],
            ]
        )
        solution, _ = nnls(design, np.concatenate([observed, pull * prior, [0.0]]))
        self._offset = float(solution[0])
        self._scales = np.maximum(solution[1:], LEAST_SCALE * self._prior)

    def drops(self, rows: Rows) -> Array:
        """Predicted drops, shape (configurations,)."""
        return np.asarray(self._offset + self._grouped(rows) @ self._scales)

    def contributions(self, rows: Rows) -> Array:
        """What each site adds to them, shape (configurations, sites)."""
        found = np.zeros((len(rows), len(self.sites)))
        np.add.at(found.T, self._column_site, (self._values(rows) * self._scales[self._group]).T)
        return found

    def alone(self) -> Array:
        """What each choice of each site adds, shape (sites, most choices of a site)."""
        found = np.zeros((len(self.sites), self._features.shape[1]))
        np.add.at(found, self._column_site, self._features * self._scales[self._group][:, None])
        return found

    def steps(self) -> Array:
        """How much each choice may add to the one before: as much as it adds here, and on average over its technique.

        Returns:
            The mean of the two, shape (sites, most choices of a site); 0 for neutral and beyond the last choice.
        """
        own = np.abs(np.diff(self.alone(), axis=1, prepend=0.0))
        places = np.arange(own.shape[1])
        is_step = np.array([(places > 0) & (places < len(site.choices)) for site in self.sites]).reshape(own.shape)
        techniques = np.array([site.technique for site in self.sites])
        found = np.zeros_like(own)
        for technique in set(techniques):
            of_it = is_step & (techniques == technique)[:, None]
            found[of_it] = (own[of_it] + own[of_it].mean()) / 2
        return found

    def _priors(self, groups: Sequence[tuple[str, int]]) -> Array:
        """Points per unit of damage of each group of columns."""
        strongest = np.zeros(len(groups))
        np.add.at(strongest, self._group, self._features.max(1, initial=0.0))
        points = [POINTS_PER_DIVERGENCE if k == _DIVERGENCE else _prior(technique, k) for technique, k in groups]
        is_absolute = np.array([k == _DIVERGENCE for _, k in groups])
        return np.array(points) / np.where(is_absolute, 1.0, np.maximum(strongest, 1e-9))

    def _values(self, rows: Rows) -> Array:
        """Damages to their powers, shape (configurations, columns)."""
        return np.asarray(self._features[np.arange(len(self._features)), rows[:, self._column_site]])

    def _grouped(self, rows: Rows) -> Array:
        grouped = np.zeros((len(rows), len(self._prior)))
        np.add.at(grouped.T, self._group, self._values(rows).T)
        return grouped


def _column(site: Site, k: int, table: Damages | None) -> list[float]:
    """A feature of every choice of a site."""
    assert table is not None
    # A group of coupled layers loses the channel in each of them; a divergence is that of all of them together.
    n_layers = len(site.layers) if site.technique == "prune" and k != _DIVERGENCE else 1
    power = 1.0 if k == _DIVERGENCE else _powers(site.technique)[k]
    return [n_layers * math.pow(max(0.0, table[site.name][choice]), power) for choice in site.choices]


def _prior(technique: str, k: int) -> float:
    return PRIOR_DROPS.get(technique, UNKNOWN_PRIOR)[k]


def _powers(technique: str) -> tuple[float, ...]:
    return POWERS.get(technique, (1.0,))
