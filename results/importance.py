"""Which decisions matter: how much of what the trials differ in, objective by objective, is laid to each site.

A Bayesian linear model of the objective over the positions of the choices (neutral 0, strongest 1); a site's share is
the variance that it makes over its own choices. Optuna's evaluators were tried beside it where the variances are known
(`benchmarks/importance.py`: 60 sites, interactions, saturation). Of the eight sites that matter most to the accuracy,
PED-ANOVA found 73 % in 200 random trials, fANOVA 75 %, the mean decrease of impurity 78 % and this 95 %; in 200 trials
of a search, which resemble each other, 15, 18, 45 and 53 % (chance: 13 %). It also says in which direction a site
works, and whether that is clear.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..search.objectives import DEFAULT_OBJECTIVES, MAX_RATIO, Objective
from ..search.trial import Fidelity, State, Trial
from ..spaces.configuration import Configuration
from ..spaces.site import Choice, Site

MIN_TRIALS = 20
"""With fewer, nothing is said."""
CLEAR_DEVIATIONS = 2.0
"""Posterior standard deviations from zero at which an effect counts as clear. Of the benchmark's clear effects 89 to
100 % had the right sign."""
_MOST_CERTAIN = 1e-12

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SiteImportance:
    """What one site means for one objective.

    Attributes:
        site: Its name.
        share: Of what all sites together do, 0 to 1.
        effect: What the strongest choice does beside the neutral one, other things equal: percentage points of
            accuracy (-2: two points lost), or % of the other scores (-20: a fifth less).
        is_clear: Whether the trials tell the effect from zero.
    """

    site: str
    share: float
    effect: float
    is_clear: bool


@dataclass(frozen=True, slots=True)
class ObjectiveImportance:
    """The sites of one objective, or the reason why nothing can be said.

    Attributes:
        objective: As people write it: `accuracy`, `latency`.
        effect_unit: `pt` or `%`.
        n_trials: Trials that it was learnt from.
        explained: Share of the variance that the model predicts of trials it has not seen, 0 to 1.
        sites: From the greatest share; those that the trials never varied are left out.
        reason: Why there are none; empty where there are.
    """

    objective: str
    effect_unit: str
    n_trials: int
    explained: float = 0.0
    sites: tuple[SiteImportance, ...] = ()
    reason: str = ""

    @property
    def by_technique(self) -> dict[str, float]:
        """Shares summed over the sites of each technique, the greatest first."""
        return self._summed(0)

    @property
    def by_layer(self) -> dict[str, float]:
        """Shares summed over the sites named after each layer, the greatest first."""
        return self._summed(2)

    def _summed(self, part: int) -> dict[str, float]:
        sums: dict[str, float] = {}
        for each in self.sites:
            name = each.site.partition("/")[part]
            sums[name] = sums.get(name, 0.0) + each.share
        return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "objective": self.objective,
            "effect_unit": self.effect_unit,
            "n_trials": self.n_trials,
            "explained": self.explained,
            "reason": self.reason,
            "sites": [
                {"site": each.site, "share": each.share, "effect": each.effect, "is_clear": each.is_clear}
                for each in self.sites
            ],
            "by_technique": self.by_technique,
            "by_layer": self.by_layer,
        }


def importances(
    trials: Sequence[Trial], sites: Sequence[Site], objectives: Sequence[Objective] = DEFAULT_OBJECTIVES
) -> tuple[ObjectiveImportance, ...]:
    """The importance of every site for every objective, in the order of the objectives.

    Args:
        trials: The record; trial 0 is the baseline.
        sites: What could be chosen.
        objectives: Those of the run.
    """
    return tuple(_importance(trials, sites, objective) for objective in objectives)


def _importance(trials: Sequence[Trial], sites: Sequence[Site], objective: Objective) -> ObjectiveImportance:
    unit = "pt" if objective.is_accuracy else "%"
    observed = _observed(trials, sites, objective)
    bare = ObjectiveImportance(objective.name, unit, len(observed))
    if len(observed) < MIN_TRIALS:
        return replace(bare, reason=f"{len(observed)} trials tell it; at least {MIN_TRIALS} are needed")
    baseline = trials[0].value(objective.score)
    values = np.array([objective.coordinate(trial.value(objective.score), baseline) for trial in observed])
    positions = _positions(observed, sites)
    varied = [i for i in range(len(sites)) if np.ptp(positions[:, i]) > 0]
    if not varied or np.ptp(values) == 0:
        return replace(bare, reason="all trials are alike in it")
    effects, deviations, explained = _fit(positions[:, varied], values)
    if explained <= 0 or not effects.any():
        return replace(bare, reason="the decisions do not explain yet how its trials differ")
    found = _shared([sites[i] for i in varied], effects, deviations, objective)
    return replace(bare, explained=explained, sites=found)


def _shared(
    sites: Sequence[Site], effects: Array, deviations: Array, objective: Objective
) -> tuple[SiteImportance, ...]:
    """What each site has of the variance of all, from the greatest."""
    spread = np.array([np.var(np.linspace(0, 1, len(site.choices))) for site in sites])
    strengths = effects**2 * spread
    found = [
        SiteImportance(
            site.name,
            float(strength / strengths.sum()),
            _in_unit(float(effect), objective),
            bool(abs(effect) > CLEAR_DEVIATIONS * deviation),
        )
        for site, strength, effect, deviation in zip(sites, strengths, effects, deviations, strict=True)
    ]
    # Rounded, so that equals are not put in order by the last bit.
    return tuple(sorted(found, key=lambda each: (-round(each.share, 9), each.site)))


def _observed(trials: Sequence[Trial], sites: Sequence[Site], objective: Objective) -> list[Trial]:
    """Trials whose score can be compared, one per configuration.

    What is known of the structure holds whatever the training; accuracies are those of the fidelity that has most.
    """
    choices = {site.name: frozenset(site.choices) for site in sites}
    scored = [
        t
        for t in trials
        if _has_coordinate(t, objective) and t.state is not State.FAILED and t.is_verified is not False
        if all(choice in choices.get(name, ()) for name, choice in t.configuration.items())
    ]
    if not trials or not _has_coordinate(trials[0], objective):
        return []
    if objective.is_accuracy:
        by_fidelity = [[t for t in scored if t.fidelity is fidelity] for fidelity in Fidelity]
        scored = max(by_fidelity, key=len)
    first: dict[Configuration, Trial] = {}
    for trial in scored:
        first.setdefault(trial.configuration, trial)
    return list(first.values())


def _has_coordinate(trial: Trial, objective: Objective) -> bool:
    """Whether its score can be placed on the axis: a ratio of nothing cannot."""
    value = trial.scores[objective.score].value if objective.score in trial.scores else math.nan
    return math.isfinite(value) and (objective.is_accuracy or value > 0)


def _positions(trials: Sequence[Trial], sites: Sequence[Site]) -> Array:
    """Where each choice stands among its site's, neutral 0 to strongest 1; shape (trials, sites)."""
    ranks: list[Mapping[Choice, int]] = [{choice: i for i, choice in enumerate(site.choices)} for site in sites]
    chosen = [dict(trial.configuration) for trial in trials]
    rows = [
        [
            rank[each.get(site.name, site.neutral)] / max(1, len(rank) - 1)
            for site, rank in zip(sites, ranks, strict=True)
        ]
        for each in chosen
    ]
    return np.array(rows, dtype=np.float64).reshape(len(trials), len(sites))


def _fit(positions: Array, values: Array) -> tuple[Array, Array, float]:
    """Bayesian ridge regression: effects per site, their standard deviations, and what it explains unseen.

    MacKay, "Bayesian interpolation" (1992), by scikit-learn. What it explains is by leaving out one trial at a time, in
    the closed form of linear smoothers: residual / (1 - leverage).
    """
    # Only reports need it, and it takes longer to import than the rest of this package.
    from sklearn.linear_model import BayesianRidge

    scale = float(values.std())  # the model's priors expect numbers near one
    model = BayesianRidge().fit(positions, values / scale)
    centred = positions - positions.mean(axis=0)
    covariance = np.asarray(model.sigma_, dtype=np.float64)
    leverages = model.alpha_ * np.einsum("ij,jk,ik->i", centred, covariance, centred, optimize=True) + 1 / len(values)
    residuals = values / scale - model.predict(positions)
    left_out = residuals / np.maximum(1 - leverages, _MOST_CERTAIN)
    effects = np.asarray(model.coef_, dtype=np.float64) * scale
    deviations = np.sqrt(np.diag(covariance)) * scale
    return effects, deviations, float(1 - np.mean(left_out**2))


def _in_unit(effect: float, objective: Objective) -> float:
    """A difference of coordinates in points of accuracy gained, or as a change in %."""
    if objective.is_accuracy:
        return -effect * objective.max_drop
    return float(100 * (MAX_RATIO**effect - 1))
