import dataclasses
import json
from collections.abc import Callable

import pytest

from parefront.hardware_profiles import SearchError
from parefront.search import optuna_proposer
from parefront.search.goals import Goals
from parefront.search.objectives import Objective, Objectives
from parefront.search.optuna_proposer import POPULATION, SAMPLERS, OptunaProposer
from parefront.search.proposal import Proposal
from parefront.search.trial import REMEASURED, Fidelity, State, Trial
from parefront.spaces import Configuration, SearchSpace

Evaluated = Callable[[SearchSpace, Proposal, int], Trial]
SLOW = ("tpe-univariate", "gp")
"""They take seconds for some proposals, and have a test of their own."""
QUICK = [sampler for sampler in SAMPLERS if sampler not in SLOW]


def drive(
    proposer: OptunaProposer, space: SearchSpace, evaluated: Evaluated, trials: list[Trial], n: int
) -> list[Trial]:
    trials = list(trials)
    while len(trials) < n:
        (proposal,) = proposer.ask(1) if trials else [Proposal(Configuration(), "baseline")]
        trials.append(evaluated(space, proposal, len(trials)))
        proposer.tell(trials[-1])
    return trials


@pytest.mark.parametrize("sampler", QUICK)
def test_proposals_are_canonical_new_and_the_same_for_the_same_seed(
    tiny_space: SearchSpace, evaluated: Evaluated, sampler: str
) -> None:
    first, second = (drive(OptunaProposer(tiny_space, sampler, 5), tiny_space, evaluated, [], 30) for _ in range(2))
    assert first == second
    configurations = [trial.configuration for trial in first]
    assert len(set(configurations)) == 30
    assert [tiny_space.canonical(configuration) for configuration in configurations] == configurations
    other = drive(OptunaProposer(tiny_space, sampler, 6), tiny_space, evaluated, [], 10)
    assert [trial.configuration for trial in other[1:]] != configurations[1:10]


@pytest.mark.parametrize("n_told", [7, 23])
@pytest.mark.parametrize("sampler", QUICK)
def test_one_rebuilt_from_the_record_goes_on_the_same_way(
    tiny_space: SearchSpace, evaluated: Evaluated, sampler: str, n_told: int
) -> None:
    whole = drive(OptunaProposer(tiny_space, sampler, 5), tiny_space, evaluated, [], 48)
    rebuilt = OptunaProposer(tiny_space, sampler, 5)
    recorded = [Trial.from_json(json.loads(json.dumps(trial.to_json()))) for trial in whole[:n_told]]
    for trial in recorded:
        rebuilt.tell(trial)
    resumed = drive(rebuilt, tiny_space, evaluated, recorded, 48)
    assert [trial.configuration for trial in resumed] == [trial.configuration for trial in whole]


@pytest.mark.parametrize("sampler", QUICK)
def test_a_tiny_space_is_exhausted(small_space: SearchSpace, evaluated: Evaluated, sampler: str) -> None:
    space = dataclasses.replace(small_space, sites=small_space.sites[3:])  # 2 x 2 bits
    proposer = OptunaProposer(space, sampler, 0)
    proposer.tell(evaluated(space, Proposal(Configuration(), "baseline"), 0))
    assert {p.configuration for p in proposer.ask(10)} == {
        Configuration.of({"bits/a": 8}),
        Configuration.of({"bits/b": 8}),
        Configuration.of({"bits/a": 8, "bits/b": 8}),
    }
    assert proposer.ask(1) == []


@pytest.mark.parametrize("sampler", QUICK)
def test_failed_trials_are_taken(tiny_space: SearchSpace, evaluated: Evaluated, sampler: str) -> None:
    proposer = OptunaProposer(tiny_space, sampler, 0)
    for number in range(30):
        (proposal,) = proposer.ask(1)
        whole = evaluated(tiny_space, proposal, number)
        proposer.tell(dataclasses.replace(whole, state=State.FAILED, scores={}) if number % 3 else whole)


def test_a_sampler_learns_nothing_from_untrained_accuracies(small_space: SearchSpace, evaluated: Evaluated) -> None:
    first, second = (OptunaProposer(small_space, "tpe", 0) for _ in range(2))
    for number in range(4):
        (proposal,) = first.ask(1)
        trial = evaluated(small_space, proposal, number)
        untrained = dataclasses.replace(trial, fidelity=Fidelity.CALIBRATED, scores={**trial.scores})
        first.tell(untrained)
        first.tell(dataclasses.replace(trial, parent=number))
        second.tell(trial)
    assert first.ask(3) == second.ask(3)


def test_an_unknown_sampler_is_refused_with_the_closest_first(tiny_space: SearchSpace) -> None:
    with pytest.raises(SearchError, match="unknown sampler 'nsga': known samplers are nsga2, "):
        OptunaProposer(tiny_space, "nsga", 0)
    OptunaProposer(tiny_space, "nsga2", 0)


def told(space: SearchSpace, evaluated: Evaluated, proposer: OptunaProposer, n: int) -> list[Proposal]:
    """The first n proposals, each evaluated and told before the next."""
    proposals = []
    for number in range(1, n + 1):
        (proposal,) = proposer.ask(1)
        proposer.tell(evaluated(space, proposal, number))
        proposals.append(proposal)
    return proposals


@pytest.mark.parametrize("sampler", SLOW)
def test_the_slow_samplers_propose_once_they_have_their_random_start(
    small_space: SearchSpace, evaluated: Evaluated, monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:
    monkeypatch.setattr(optuna_proposer, "N_STARTUP", 3)
    space = dataclasses.replace(small_space, sites=small_space.sites[1:])  # without the fold: fewer repeats
    configurations = [each.configuration for each in told(space, evaluated, OptunaProposer(space, sampler, 0), 4)]
    assert len(set(configurations)) == 4
    assert [space.canonical(configuration) for configuration in configurations] == configurations


@pytest.mark.parametrize("sampler", QUICK)
def test_seeds_come_first_and_are_members_of_a_genetic_population(
    tiny_space: SearchSpace, evaluated: Evaluated, sampler: str
) -> None:
    site = next(site for site in tiny_space.sites if site.technique == "prune")
    seeds = [tiny_space.canonical({site.name: choice}) for choice in site.choices[1:]]
    proposer = OptunaProposer(tiny_space, sampler, 0, seeds=seeds)
    proposals = told(tiny_space, evaluated, proposer, len(seeds) + 3)
    assert [each.configuration for each in proposals[: len(seeds)]] == seeds
    assert [each.origin for each in proposals] == ["seed"] * len(seeds) + [sampler] * 3
    if sampler in ("nsga2", "nsga3"):
        generations = {
            value for each in proposals for key, value in each.details["sampler"].items() if "generation" in key
        }
        assert generations == {0}


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_a_site_may_be_an_integer_to_a_sampler(tiny_space: SearchSpace, evaluated: Evaluated, sampler: str) -> None:
    proposer = OptunaProposer(tiny_space, sampler, 0, has_ordered_choices=True)
    configurations = [each.configuration for each in told(tiny_space, evaluated, proposer, 25)]
    assert len(set(configurations)) == 25
    assert [tiny_space.canonical(configuration) for configuration in configurations] == configurations


def test_a_sampler_that_is_not_told_the_limits_goes_another_way(tiny_space: SearchSpace, evaluated: Evaluated) -> None:
    # Nothing is within the axis of the accuracy, so that the constraint decides whom the sampler follows.
    goals = Goals(Objectives((Objective("accuracy", 0.01), Objective("latency"), Objective("size"))))
    ways = [
        [each.configuration for each in told(tiny_space, evaluated, proposer, 45)]
        for proposer in (
            OptunaProposer(tiny_space, "nsga2", 0, goals, is_told_limits=is_told) for is_told in (True, False)
        )
    ]
    assert ways[0][:POPULATION] == ways[1][:POPULATION]  # the first generation is drawn by chance
    assert ways[0] != ways[1]


def test_what_was_measured_again_is_no_second_candidate(
    small_space: SearchSpace, make_trial: Callable[..., Trial]
) -> None:
    first = make_trial(2, {"prune/a": 8}, 1.0)
    again = dataclasses.replace(make_trial(3, {"prune/a": 8}, 1.0, 1.1), details={REMEASURED: 2})

    def asked(*trials: Trial) -> list[Configuration]:
        proposer = OptunaProposer(small_space, "tpe", seed=0)
        for trial in trials:
            proposer.tell(trial)
        return [proposal.configuration for proposal in proposer.ask(5)]

    assert asked(first) == asked(first, again)
