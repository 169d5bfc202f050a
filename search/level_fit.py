"""A structural score by the choices alone, without tables: what a search falls back on where its tables mislead."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

import numpy as np

from ..evaluators.ridge import Ridge, Vector
from ..spaces import Choice, SearchSpace

SHARED_PENALTY, OWN_PENALTY = 0.0025, 0.25
"""Squares of an error of 5 % over those of what a technique in all its sites, or a single site, does: 1 and .1."""
N_LEARNT, N_COMPARED = 8, 24
"""Trials that it learns from before it is compared with the tables, and the latest ones by which it then is."""


class LevelFit:
    """Ridge regression of the logarithm of a score's ratio to the baseline's on how far each site is from neutral.

    What a choice does is learnt for its place among the choices of all sites of a technique; what a single site does
    beyond that goes with the place. It needs dozens of trials where tables need one, so it is used only while it has
    clearly been nearer to the latest of them.

    Attributes:
        is_believed: Whether it has been.
    """

    def __init__(self, space: SearchSpace) -> None:
        """Begins with the expectation that nothing changes anything."""
        self._position = {site.name: (k, site) for k, site in enumerate(space.sites)}
        techniques = sorted({site.technique for site in space.sites})
        self._sites_of = {name: sum(site.technique == name for site in space.sites) for name in techniques}
        most = max((len(site.choices) for site in space.sites), default=1)
        self._first_of = {name: k * most for k, name in enumerate(techniques)}
        self._n_shared = most * len(techniques)
        n_own = len(space.sites)
        self._ridge = Ridge((SHARED_PENALTY,) * self._n_shared + (OWN_PENALTY,) * n_own)
        self._coefficients: Vector = np.zeros(self._n_shared + n_own)
        self._gains: deque[float] = deque(maxlen=N_COMPARED)
        self._n_learnt = 0
        self.is_believed = False

    def log_ratio(self, choices: Mapping[str, Choice]) -> float:
        """Of the predicted score to the baseline's."""
        return float(self._row(choices) @ self._coefficients)

    def add(self, choices: Mapping[str, Choice], log_ratio: float, by_tables: float | None) -> None:
        """Adds a measured trial.

        Args:
            choices: Its configuration.
            log_ratio: Measured.
            by_tables: What the tables predicted before they knew it; None where they could not.
        """
        if by_tables is not None and self._n_learnt >= N_LEARNT:
            self._gains.append(abs(log_ratio - by_tables) - abs(log_ratio - self.log_ratio(choices)))
            # Without a true gain the sum is about normal around 0, the root of the sum of squares its deviation.
            self.is_believed = sum(self._gains) > 2 * math.hypot(*self._gains)
        self._n_learnt += 1
        self._ridge.add(self._row(choices), log_ratio)
        self._coefficients = self._ridge.coefficients()

    def _row(self, choices: Mapping[str, Choice]) -> Vector:
        row = np.zeros(len(self._coefficients))
        for name, choice in choices.items():
            position, site = self._position[name]
            level = site.choices.index(choice)
            row[self._first_of[site.technique] + level] += 1 / self._sites_of[site.technique]
            row[self._n_shared + position] = level / max(1, len(site.choices) - 1)
        return row
