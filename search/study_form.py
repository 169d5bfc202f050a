"""A trial in the form of an Optuna study, and back: the same wherever the study is kept."""

from __future__ import annotations

from typing import Literal, TypeAlias

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from ..spaces import SearchSpace
from .goals import DEFAULT_GOALS, Goals
from .trial import State, Trial

Direction: TypeAlias = Literal["maximize", "minimize"]
_TRIAL = "parefront:trial"


class StudyForm:
    """How the trials of one search stand in a study.

    Attributes:
        directions: Of the study's values.
    """

    def __init__(self, space: SearchSpace, goals: Goals = DEFAULT_GOALS) -> None:
        """Prepares the study's parameters.

        Args:
            space: What may be chosen.
            goals: Their scores are the study's values.
        """
        self.directions = directions(goals)
        self._names = study_values(goals)
        self._distributions: dict[str, BaseDistribution] = {
            site.name: CategoricalDistribution(site.choices) for site in space.sites
        }
        self._neutral = {site.name: site.neutral for site in space.sites}

    def frozen(self, trial: Trial) -> FrozenTrial:
        """A trial as Optuna keeps it; `trial_of` gives it back exactly."""
        is_complete = trial.state is State.COMPLETE
        return create_trial(
            state=TrialState.COMPLETE if is_complete else TrialState.FAIL,
            values=[trial.value(name) for name in self._names] if is_complete else None,
            params={**self._neutral, **trial.configuration},
            distributions=self._distributions,
            user_attrs={_TRIAL: trial.to_json()},
        )


def trial_of(frozen: FrozenTrial) -> Trial:
    """The trial that a study holds.

    Raises:
        KeyError: It was not written by us.
    """
    return Trial.from_json(frozen.user_attrs[_TRIAL])


def study_values(goals: Goals) -> tuple[str, ...]:
    """The scores that a study holds as its values: the accuracy itself, which people read more easily than its drop."""
    return tuple("accuracy" if axis.is_accuracy else axis.score for axis in goals.objectives)


def directions(goals: Goals) -> tuple[Direction, ...]:
    """Of the study's values."""
    return tuple("maximize" if axis.is_accuracy else "minimize" for axis in goals.objectives)


def silence_optuna() -> None:
    """Optuna announces every study it opens; the program has its own display."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
