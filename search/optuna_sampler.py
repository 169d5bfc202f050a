"""The proposer as a sampler for people who run their own Optuna studies; see docs/optuna.md."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from optuna import Study, Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial
from torch import Tensor, nn

from ..evaluators.cost_tables import CostTables
from ..evaluators.sensitivity import Damages, site_damages
from ..hardware_profiles import HardwareProfile
from ..spaces import Configuration, Network, SearchSpace
from .foreign_study import FIXED, PROPOSAL, ForeignStudy
from .foreign_values import check_tries, open_network
from .goals import DEFAULT_GOALS, Goals
from .proposal import Proposal
from .proposer import TableProposer

MAX_REPEATS = 5
"""Proposals that another process may have taken at the same moment, one after the other."""


class TableSampler(BaseSampler):
    """Proposes configurations of a search space to an Optuna study.

    The first trial is the uncompressed network, by which the others are judged. The proposer is told of the study's
    trials wherever it is behind them: studies may be resumed, shared by processes through a storage, and run
    with several threads; trials under way count as if they came out as predicted. Parameters that are no site are
    sampled at random.

    Attributes:
        network: What is compressed, traced.
        space: What may be chosen.
    """

    def __init__(
        self,
        network: Network,
        space: SearchSpace,
        *,
        goals: Goals = DEFAULT_GOALS,
        seed: int = 0,
        damages: Damages | None = None,
    ) -> None:
        """Begins without trials.

        Args:
            network: What is compressed.
            space: Its sites.
            goals: The objectives in the order of the study's values (accuracy in percent, maximised; latency in ms,
                size in bytes and all others minimised), and limits.
            seed: Of everything random.
            damages: What every choice destroys; judged from the weights unless given.

        Raises:
            SpaceError: Nothing can be chosen.
            SearchError: The goals cannot be those of a study.
        """
        space.check_not_empty()
        self.network, self.space = network, space
        self._goals, self._seed = goals, seed
        self._damages = site_damages(network, space) if damages is None else damages
        self._reader = ForeignStudy(space, goals)
        self._distributions: dict[str, BaseDistribution] = {
            site.name: CategoricalDistribution(site.choices) for site in space.sites
        }
        self._independent = RandomSampler(seed)
        self._lock = threading.Lock()  # with n_jobs, threads share the sampler
        self._begin(None)

    @classmethod
    def for_network(
        cls,
        model: nn.Module,
        example_inputs: Tensor,
        profile: str | HardwareProfile = "cpu-ort-1t",
        *,
        objectives: Sequence[str] = (),
        constraints: Sequence[str] = (),
        seed: int = 0,
    ) -> TableSampler:
        """A sampler for a trained network.

        Args:
            model: In evaluation mode; not touched.
            example_inputs: What it takes, shape (n, ...), at least two samples.
            profile: Name of a hardware profile, or its file: what it executes may be chosen.
            objectives: Of the study's values in their order, such as `accuracy`, `latency@board`, `macs`; accuracy,
                latency and size unless given.
            constraints: Such as `accuracy_drop<=1pt`.
            seed: Of everything random.

        Raises:
            ParefrontError: The network cannot be traced, the profile or the goals are not understood.
        """
        network, space, goals = open_network(model, example_inputs, profile, objectives, constraints)
        return cls(network, space, goals=goals, seed=seed)

    def suggest(self, trial: Trial) -> Configuration:
        """The configuration that a trial evaluates: asks the trial for every site, as any objective may."""
        chosen: dict[str, Any] = {
            site.name: trial.suggest_categorical(site.name, site.choices) for site in self.space.sites
        }
        return self.space.canonical(chosen)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """See Optuna: the sites."""
        return dict(self._distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See Optuna: a choice for every site.

        Raises:
            SearchError: The study's values cannot be the objectives, or the uncompressed network always fails.
        """
        neutral = {site.name: site.neutral for site in self.space.sites}
        enqueued = {name: choice for name, choice in trial.system_attrs.get(FIXED, {}).items() if name in neutral}
        if enqueued:
            return {**neutral, **enqueued}
        with self._lock:
            self._reader.check(study)
            proposal = self._proposed(study, trial)
        return {} if proposal is None else {**neutral, **proposal.configuration}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:  # of the distribution's type
        """See Optuna: at random."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """See Optuna: for what is no site; proposals differ because each counts what is under way."""
        self._independent.reseed_rng()

    def _begin(self, study: tuple[BaseStorage, int] | None) -> None:
        self._study = study
        self._proposer = TableProposer(self.space, CostTables(self.space), self._damages, self._seed, goals=self._goals)
        self._baseline_accuracy: float | None = None
        self._told: set[int] = set()

    def _proposed(self, study: Study, trial: FrozenTrial) -> Proposal | None:
        """A proposal that no other trial under way has, noted with the trial; None when the space is exhausted."""
        proposal: Proposal | None = None
        for _ in range(MAX_REPEATS):
            others = [each for each in study.get_trials(deepcopy=False) if each.number != trial.number]
            self._catch_up(study, others)
            under_way = self._under_way(others)
            if proposal is not None and not any(
                number < trial.number and other.configuration == proposal.configuration
                for number, other in under_way.items()
            ):
                break
            self._proposer.expect(list(under_way.values()))
            if self._is_baseline_due(others, under_way):
                proposal = Proposal(Configuration(), "baseline")
            else:
                proposal = next(iter(self._proposer.ask(1)), None)
            if proposal is None:
                _stop(study)
                return None
            # Noted at once: other processes must know before they propose.
            study._storage.set_trial_user_attr(trial._trial_id, PROPOSAL, self._reader.noted(proposal))
        return proposal

    def _catch_up(self, study: Study, trials: Sequence[FrozenTrial]) -> None:
        """Tells the proposer what has ended since; nothing before the uncompressed network's values are known."""
        if (key := (study._storage, study._study_id)) != self._study:
            self._begin(key)
        ended = [each for each in trials if self._is_news(each)]
        if self._baseline_accuracy is None:
            baseline = next((each for each in ended if self._is_baseline(each)), None)
            if baseline is None:
                return
            self._baseline_accuracy = self._reader.accuracy(baseline)
            ended = [baseline, *(each for each in ended if each is not baseline)]
        assert self._baseline_accuracy is not None
        for each in ended:
            self._proposer.tell(self._reader.trial(each, self._baseline_accuracy))
            self._told.add(each.number)

    def _is_news(self, frozen: FrozenTrial) -> bool:
        is_told = frozen.number in self._told
        return frozen.state.is_finished() and not is_told and self._reader.proposal(frozen) is not None

    def _is_baseline(self, frozen: FrozenTrial) -> bool:
        proposal = self._reader.proposal(frozen)
        return proposal is not None and not proposal.configuration and self._reader.accuracy(frozen) is not None

    def _under_way(self, trials: Sequence[FrozenTrial]) -> dict[int, Proposal]:
        """By number what is being evaluated, and, before there is a baseline, what has ended and was not told yet."""
        found = {}
        for each in trials:
            is_held_back = each.state.is_finished() and self._baseline_accuracy is None
            if (not each.state.is_finished() or is_held_back) and (proposal := self._reader.proposal(each)):
                found[each.number] = proposal
        return found

    def _is_baseline_due(self, trials: Sequence[FrozenTrial], under_way: dict[int, Proposal]) -> bool:
        """Whether the uncompressed network has to be evaluated now.

        Raises:
            SearchError: It was tried too often.
        """
        if self._baseline_accuracy is not None:
            return False
        tried = [each for each in trials if each.number in under_way and not under_way[each.number].configuration]
        if not all(each.state.is_finished() for each in tried):
            return False
        check_tries(len(tried))
        return True


def _stop(study: Study) -> None:
    """Ends `study.optimize`: everything was proposed. Under ask and tell, choices are drawn at random from now on."""
    try:
        study.stop()
    except RuntimeError:
        return
