"""Optuna's own samplers behind the same ask and tell, as points of comparison: NSGA-II and III, TPE, GP."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIIISampler, NSGAIISampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from ..hardware_profiles.errors import SearchError, unknown_name
from ..spaces import Choice, Configuration, SearchSpace
from .goals import DEFAULT_GOALS, Goals
from .moves import random_configuration
from .proposal import Proposal
from .study_form import directions, study_values
from .trial import Fidelity, State, Trial

POPULATION = 20
"""Of the genetic samplers: a search of 200 evaluations has ten generations."""
N_STARTUP = 20
"""Random candidates before a sampler that models begins to."""
MAX_TRIES = 60
"""Repeats in a row before a space counts as exhausted."""
MAX_REPEATS = 10
"""Repeats in a row before chance takes over."""
_CONSTRAINTS = "constraints"
"""How far a trial is beyond each limit, the drop that ends the accuracy's axis among them; 0 or less: it is kept."""

Constraints: TypeAlias = Callable[[FrozenTrial], Sequence[float]]


def _constraints(trial: FrozenTrial) -> Sequence[float]:
    violations: list[float] = trial.user_attrs.get(_CONSTRAINTS, [1.0])
    return violations


class _OrderedNSGAII(NSGAIISampler):
    """NSGA-II whose parents come in the same order when they are selected and when they are remembered."""

    def get_parent_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        return sorted(super().get_parent_population(study, generation), key=lambda trial: trial.number)


class _OrderedNSGAIII(NSGAIIISampler):
    """NSGA-III, likewise."""

    def get_parent_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        return sorted(super().get_parent_population(study, generation), key=lambda trial: trial.number)


def _nsga2(seed: int, constraints: Constraints | None) -> BaseSampler:
    return _OrderedNSGAII(population_size=POPULATION, seed=seed, constraints_func=constraints)


def _nsga3(seed: int, constraints: Constraints | None) -> BaseSampler:
    # With three objectives, five divisions give 21 directions: one for each of the population.
    return _OrderedNSGAIII(population_size=POPULATION, dividing_parameter=5, seed=seed, constraints_func=constraints)


def _tpe(seed: int, constraints: Constraints | None, *, is_multivariate: bool = True) -> BaseSampler:
    return TPESampler(
        seed=seed,
        multivariate=is_multivariate,
        group=False,
        n_startup_trials=N_STARTUP,
        n_ei_candidates=24,
        constant_liar=False,
        constraints_func=constraints,
    )


def _gp(seed: int, constraints: Constraints | None) -> BaseSampler:
    return GPSampler(seed=seed, n_startup_trials=N_STARTUP, deterministic_objective=False, constraints_func=constraints)


SAMPLERS: Mapping[str, Callable[[int, Constraints | None], BaseSampler]] = {
    "nsga2": _nsga2,
    "nsga3": _nsga3,
    "tpe": _tpe,
    "tpe-univariate": partial(_tpe, is_multivariate=False),
    "gp": _gp,
}
"""By the name of the flag; `tpe` is the multivariate one. Every option is explicit: Optuna 5 changed its defaults."""


class OptunaProposer:
    """An Optuna sampler with a study in memory; the record is kept elsewhere, and told back on a resume."""

    def __init__(
        self,
        space: SearchSpace,
        sampler: str,
        seed: int,
        goals: Goals = DEFAULT_GOALS,
        *,
        seeds: Sequence[Configuration] = (),
        is_told_limits: bool = True,
        has_ordered_choices: bool = False,
    ) -> None:
        """Makes the study.

        Args:
            space: What may be chosen.
            sampler: One of `SAMPLERS`.
            seed: Of its random numbers.
            goals: Objectives and limits.
            seeds: Canonical configurations that it begins with.
            is_told_limits: Whether it hears of the limits, that of the accuracy's axis among them, as constraints.
            has_ordered_choices: Whether a site is an integer to it, the position of the choice, instead of a category.

        Raises:
            SearchError: Unknown sampler.
        """
        if sampler not in SAMPLERS:
            raise SearchError(unknown_name("sampler", sampler, SAMPLERS))
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._sampler, self._seed, self._goals = space, sampler, seed, goals
        self._values = study_values(goals)
        self._known: set[Configuration] = set()
        self._constraints = _constraints if is_told_limits else None
        self._seeds, self._has_ordered_choices = tuple(seeds), has_ordered_choices
        self._study = optuna.create_study(directions=directions(goals), sampler=self._fresh_sampler())
        self._distributions: dict[str, BaseDistribution] = {
            site.name: IntDistribution(0, len(site.choices) - 1)
            if has_ordered_choices
            else CategoricalDistribution(site.choices)
            for site in space.sites
        }

    def ask(self, n: int) -> list[Proposal]:
        """New configurations; where a sampler repeats one that was known already, it is asked again."""
        proposals: list[Proposal] = []
        # One stream of random numbers per state of knowledge, so that a resumed search goes on the same way.
        self._study.sampler = self._fresh_sampler()
        rng, n_repeats = random.Random(f"{self._seed} {len(self._known)}"), 0
        while len(proposals) < n and n_repeats < MAX_TRIES:
            # A sampler that has settled would repeat itself for ever.
            has_settled = n_repeats >= MAX_REPEATS
            configuration, memory = (random_configuration(self._space, rng), {}) if has_settled else self._drawn()
            n_repeats += 1
            if configuration not in self._known:
                n_repeats = 0
                self._known.add(configuration)
                origin = "seed" if configuration in self._seeds else self._sampler
                proposals.append(Proposal(configuration, origin, {"sampler": memory}))
        return proposals

    def tell(self, trial: Trial) -> None:
        """See `Proposer`."""
        self._known.add(trial.configuration)
        if trial.fidelity is Fidelity.CALIBRATED and trial.state is State.COMPLETE:
            return  # Accuracies of different fidelities do not compare: the sampler learns from the promoted ones.
        if trial.supersedes is not None:
            return  # It has heard of this candidate; a second time would count it twice.
        values = [trial.value(name) for name in self._values] if trial.state is State.COMPLETE else None
        # A sampler follows the constraints that a trial has, whatever it was made with.
        limits = {_CONSTRAINTS: self._violations(trial)} if self._constraints is not None else {}
        self._study.add_trial(
            create_trial(
                state=TrialState.COMPLETE if values else TrialState.FAIL,
                values=values,
                params=self._params(trial.configuration),
                distributions=self._distributions,
                user_attrs=limits,
                system_attrs={**trial.details.get("sampler", {}), **limits},
            )
        )

    def _drawn(self) -> tuple[Configuration, dict[str, Any]]:
        """The next configuration of the study, and what the sampler wants to remember of it."""
        self._enqueue_seed()
        trial = self._study.ask(self._distributions)
        # What it was asked is closed here and told as a new trial, so that a sampler sees the same study, canonical
        # configurations only, whether the results came one by one or all at once on a resume.
        self._study.tell(trial, state=TrialState.FAIL)
        memory = _json_safe(trial.storage.get_trial_system_attrs(trial._trial_id))
        return self._space.canonical(self._choices(trial.params)), memory

    def _fresh_sampler(self) -> BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # some samplers announce that they may change
            return SAMPLERS[self._sampler](self._seed + len(self._known), self._constraints)

    def _enqueue_seed(self) -> None:
        """Hands the study the next seed: it comes back from `ask`, as a member of a genetic sampler's population."""
        seed = next((each for each in self._seeds if each not in self._known), None)
        if seed is not None:
            self._study.enqueue_trial(self._params(seed))

    def _params(self, configuration: Configuration) -> dict[str, Any]:
        """A configuration as the study has it."""
        chosen = {site: configuration.get(site.name, site.neutral) for site in self._space.sites}
        if not self._has_ordered_choices:
            return {site.name: choice for site, choice in chosen.items()}
        return {site.name: site.choices.index(choice) for site, choice in chosen.items()}

    def _choices(self, params: Mapping[str, Any]) -> Mapping[str, Choice]:
        """The inverse of `_params`."""
        if not self._has_ordered_choices:
            return params
        return {site.name: site.choices[params[site.name]] for site in self._space.sites}

    def _violations(self, trial: Trial) -> list[float]:
        """Of the accuracy's axis and of each limit; samplers hear of a candidate that loses too much as not wanted."""
        limits = {limit.score: limit.limit for limit in self._goals.limits_at(Fidelity.SHORT)}
        floors = {axis.score: axis.max_drop for axis in self._goals.objectives if axis.is_accuracy}
        scores = {**floors, **limits}
        if trial.state is not State.COMPLETE:
            return [1.0] * len(scores)
        return [trial.value(name) / limit - 1 if limit > 0 else trial.value(name) for name, limit in scores.items()]


def _json_safe(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if isinstance(value, int | float | str | list)}
