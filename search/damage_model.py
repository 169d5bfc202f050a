"""Predicts the accuracy drop of a configuration from what its choices destroy, fitted to the drops observed so far.

A linear model with a hierarchy: each technique has a scale, each site may deviate from it as far as the data say so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..evaluators.sensitivity import Damages
from ..spaces import Choice, SearchSpace

POWERS: Mapping[str, tuple[float, ...]] = {"prune": (2.0, 6.0), "rank": (1.0,), "fold": (1.0,), "bits": (1.0,)}
"""How drop grows with damage: pruning is harmless at first and ruinous at the end."""
PRIOR_DROPS: Mapping[str, tuple[float, ...]] = {"prune": (2.0, 12.0), "rank": (4.0,), "fold": (3.0,), "bits": (0.3,)}
"""Points lost when every site of a technique takes its strongest choice, before anything was observed."""
PRIOR_WEIGHT = 0.05
SITE_STIFFNESS = 3.0
"""How strongly a site's own scale is held to its technique's."""


class DamageModel:
    """Drop in percentage points as a sum over sites.

    Attributes:
        offset: Points that the fine-tune at this fidelity costs whatever is chosen.
    """

    def __init__(self, space: SearchSpace, damages: Damages) -> None:
        self._sites = list(space.sites)
        self._columns: list[tuple[int, str, int]] = [
            (position, site.technique, k)
            for position, site in enumerate(self._sites)
            for k in range(len(POWERS[site.technique]))
        ]
        self._features = {
            (column, choice): self._feature(column, choice, damages)
            for column, (position, _, _) in enumerate(self._columns)
            for choice in self._sites[position].choices
        }
        groups = sorted({(technique, k) for _, technique, k in self._columns})
        self._group = np.array([groups.index((technique, k)) for _, technique, k in self._columns])
        strongest = np.zeros(len(groups))
        for column, (position, _, _) in enumerate(self._columns):
            strongest[self._group[column]] += self._features[column, self._sites[position].choices[-1]]
        prior = np.array([PRIOR_DROPS[technique][k] for technique, k in groups])
        self._prior = prior / np.maximum(strongest, 1e-9)
        self._prior_spread = np.maximum(strongest, 1e-9)
        self.offset = 0.0
        self._scales: NDArray[np.float64] = self._prior[self._group]

    def fit(self, configurations: Sequence[Mapping[str, Choice]], drops: Sequence[float]) -> None:
        """Fits the scales to observed drops in percentage points; nothing happens without observations."""
        if not drops:
            return
        rows = np.array([self._row(choices) for choices in configurations])
        observed = np.array(drops)
        grouped = np.zeros((len(rows), len(self._prior)))
        np.add.at(grouped.T, self._group, rows.T)
        self.offset, technique_scales = self._fit_techniques(grouped, observed)
        residual = observed - self.offset - grouped @ technique_scales
        # Ridge on the deviations of single sites, each in units of its own strongest feature.
        size = np.maximum(np.abs(rows).max(0), 1e-9)
        scaled = rows / size
        gram = scaled.T @ scaled + SITE_STIFFNESS * np.eye(scaled.shape[1])
        deviation = np.linalg.solve(gram, scaled.T @ residual) / size
        # More damage never helps: a negative scale would send the search to ruin a site.
        self._scales = np.maximum(technique_scales[self._group] + deviation, 0.05 * self._prior[self._group])

    def drop(self, choices: Mapping[str, Choice]) -> float:
        """Predicted drop of a configuration."""
        return self.offset + float(self._row(choices) @ self._scales)

    def site_drops(self) -> dict[str, dict[Choice, float]]:
        """Predicted points lost by each choice of each site alone."""
        table: dict[str, dict[Choice, float]] = {site.name: dict.fromkeys(site.choices, 0.0) for site in self._sites}
        for column, (position, _, _) in enumerate(self._columns):
            site = self._sites[position]
            for choice in site.choices:
                table[site.name][choice] += float(self._scales[column]) * self._features[column, choice]
        return table

    def _feature(self, column: int, choice: Choice, damages: Damages) -> float:
        position, technique, k = self._columns[column]
        site = self._sites[position]
        # A group of coupled layers loses the channel in each of them.
        n_layers = len(site.layers) if technique == "prune" else 1
        return n_layers * math.pow(damages[site.name][choice], POWERS[technique][k])

    def _row(self, choices: Mapping[str, Choice]) -> NDArray[np.float64]:
        chosen = [choices.get(site.name, site.neutral) for site in self._sites]
        return np.array([self._features[c, chosen[position]] for c, (position, _, _) in enumerate(self._columns)])

    def _fit_techniques(
        self, grouped: NDArray[np.float64], observed: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]:
        """Offset and one scale per technique, none negative, drawn to the prior where data are few."""
        from scipy.optimize import nnls

        n = grouped.shape[1]
        prior_rows = np.hstack([np.zeros((n, 1)), np.diag(np.sqrt(PRIOR_WEIGHT) * self._prior_spread)])
        design = np.vstack([np.hstack([np.ones((len(grouped), 1)), grouped]), prior_rows])
        target = np.concatenate([observed, np.sqrt(PRIOR_WEIGHT) * self._prior_spread * self._prior])
        solution, _ = nnls(design, target)
        return float(solution[0]), solution[1:]
