"""Optuna's own samplers behind the same ask and tell, as a point of comparison: random, NSGA-II, TPE."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from ..hardware_profiles.errors import SearchError, unknown_name
from ..spaces import Configuration, SearchSpace
from .proposer import Proposal
from .record import DIRECTIONS, OBJECTIVES
from .trial import Fidelity, State, Trial

ACCURACY_FLOOR_DROP = 5.0
"""Told to the samplers as a constraint: a candidate that loses more points is not wanted."""
MAX_TRIES = 60
"""Repeats in a row before a space counts as exhausted."""
MAX_REPEATS = 10
"""Repeats in a row before chance takes over."""
_CONSTRAINT = "accuracy_floor"


def _constraints(trial: FrozenTrial) -> Sequence[float]:
    violation: float = trial.user_attrs.get(_CONSTRAINT, 1.0)
    return (violation,)


class _OrderedNSGAII(NSGAIISampler):
    """NSGA-II whose parents come in the same order when they are selected and when they are remembered."""

    def get_parent_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        return sorted(super().get_parent_population(study, generation), key=lambda trial: trial.number)


def _random(seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


def _nsga2(seed: int) -> BaseSampler:
    return _OrderedNSGAII(population_size=20, seed=seed, constraints_func=_constraints)


def _tpe(seed: int) -> BaseSampler:
    return TPESampler(seed=seed, multivariate=True, group=False, n_startup_trials=20, constraints_func=_constraints)


SAMPLERS: Mapping[str, Callable[[int], BaseSampler]] = {"random": _random, "nsga2": _nsga2, "tpe": _tpe}


class OptunaProposer:
    """An Optuna sampler with a study in memory; the record is kept elsewhere, and told back on a resume."""

    def __init__(self, space: SearchSpace, sampler: str, seed: int) -> None:
        """Makes the study.

        Raises:
            SearchError: Unknown sampler.
        """
        if sampler not in SAMPLERS:
            raise SearchError(unknown_name("sampler", sampler, SAMPLERS))
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._sampler, self._seed = space, sampler, seed
        self._study = optuna.create_study(directions=DIRECTIONS, sampler=SAMPLERS[sampler](seed))
        self._distributions: dict[str, BaseDistribution] = {
            site.name: CategoricalDistribution(site.choices) for site in space.sites
        }
        self._known: set[Configuration] = set()

    def ask(self, n: int) -> list[Proposal]:
        """New configurations; where a sampler repeats one that was known already, it is asked again."""
        proposals: list[Proposal] = []
        # One stream of random numbers per state of knowledge, so that a resumed search goes on the same way.
        self._study.sampler = SAMPLERS[self._sampler](self._seed + len(self._known))
        n_repeats = 0
        while len(proposals) < n and n_repeats < MAX_TRIES:
            if n_repeats == MAX_REPEATS:  # a sampler that has settled would repeat itself for ever
                self._study.sampler = _random(self._seed + len(self._known))
            trial = self._study.ask(self._distributions)
            # What it was asked is closed here and told as a new trial, so that a sampler sees the same study, canonical
            # configurations only, whether the results came one by one or all at once on a resume.
            self._study.tell(trial, state=TrialState.FAIL)
            configuration = self._space.canonical(trial.params)
            n_repeats += 1
            if configuration not in self._known:
                n_repeats = 0
                self._known.add(configuration)
                details = {"sampler": _json_safe(trial.storage.get_trial_system_attrs(trial._trial_id))}
                proposals.append(Proposal(configuration, self._sampler, details))
        return proposals

    def tell(self, trial: Trial) -> None:
        """See `Proposer`."""
        self._known.add(trial.configuration)
        if trial.fidelity is Fidelity.CALIBRATED and trial.state is State.COMPLETE:
            return  # Accuracies of different fidelities do not compare: the sampler learns from the promoted ones.
        values = [trial.value(name) for name in OBJECTIVES] if trial.state is State.COMPLETE else None
        violation = trial.value("accuracy_drop") - ACCURACY_FLOOR_DROP if values else 1.0
        neutral = {site.name: site.neutral for site in self._space.sites}
        self._study.add_trial(
            create_trial(
                state=TrialState.COMPLETE if values else TrialState.FAIL,
                values=values,
                params={**neutral, **trial.configuration},
                distributions=self._distributions,
                user_attrs={_CONSTRAINT: violation},
                system_attrs={**trial.details.get("sampler", {}), "constraints": [violation]},
            )
        )


def _json_safe(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if isinstance(value, int | float | str | list)}
