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
        techniques = list(space.by_technique)
        most = max((len(site.choices) for site in space.sites), default=1)
        self._n_shared = most * len(techniques)
        self._terms: dict[tuple[str, Choice], tuple[int, float, int, float]] = {}
        for own, site in enumerate(space.sites, start=self._n_shared):
            first, share = most * techniques.index(site.technique), 1 / len(space.by_technique[site.technique])
            for level, choice in enumerate(site.choices):
                depth = level / max(1, len(site.choices) - 1)
                self._terms[site.name, choice] = first + level, share, own, depth
        self._ridge = Ridge((SHARED_PENALTY,) * self._n_shared + (OWN_PENALTY,) * len(space.sites))
        self._coefficients = [0.0] * (self._n_shared + len(space.sites))
        self._gains: deque[float] = deque(maxlen=N_COMPARED)
        self._n_learnt = 0
        self.is_believed = False

    def log_ratio(self, choices: Mapping[str, Choice]) -> float:
        """Of the predicted score to the baseline's."""
        fit, terms = self._coefficients, self._terms
        found = [terms[each] for each in choices.items()]
        return sum([fit[shared] * share + fit[own] * depth for shared, share, own, depth in found])

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
        self._coefficients = self._ridge.coefficients().tolist()

    def _row(self, choices: Mapping[str, Choice]) -> Vector:
        row = np.zeros(len(self._coefficients))
        for each in choices.items():
            shared, share, own, depth = self._terms[each]
            row[shared] += share
            row[own] = depth
        return row
