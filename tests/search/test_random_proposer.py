import dataclasses
from collections.abc import Callable

import pytest

from parefront.search.proposal import Proposal, Proposer
from parefront.search.random_proposer import RandomProposer
from parefront.search.trial import Trial
from parefront.spaces import Configuration, SearchSpace

Evaluated = Callable[[SearchSpace, Proposal, int], Trial]


def told(proposer: Proposer, space: SearchSpace, evaluated: Evaluated, first: int, n: int) -> list[Trial]:
    """The next n proposals, each evaluated and told before the next."""
    trials = []
    for number in range(first, first + n):
        (proposal,) = proposer.ask(1)
        trials.append(evaluated(space, proposal, number))
        proposer.tell(trials[-1])
    return trials


def configurations(trials: list[Trial]) -> list[Configuration]:
    return [trial.configuration for trial in trials]


def test_proposals_are_canonical_new_and_the_same_for_the_same_seed(
    tiny_space: SearchSpace, evaluated: Evaluated
) -> None:
    first, second, other = (
        configurations(told(RandomProposer(tiny_space, seed), tiny_space, evaluated, 1, 20)) for seed in (5, 5, 6)
    )
    assert first == second != other
    assert len(set(first)) == 20
    assert [tiny_space.canonical(each) for each in first] == first


@pytest.mark.parametrize("n_told", [1, 7])
def test_one_rebuilt_from_the_record_goes_on_the_same_way(
    tiny_space: SearchSpace, evaluated: Evaluated, n_told: int
) -> None:
    whole = told(RandomProposer(tiny_space, 5), tiny_space, evaluated, 1, 20)
    rebuilt = RandomProposer(tiny_space, 5)
    for trial in whole[:n_told]:
        rebuilt.tell(trial)
    assert told(rebuilt, tiny_space, evaluated, 1 + n_told, 20 - n_told) == whole[n_told:]


def test_every_choice_has_the_same_chance(small_space: SearchSpace) -> None:
    """Of 60 uniform draws about half hold one of two bit-widths: binomial, within 4 standard deviations of 30."""
    proposals = RandomProposer(small_space, 0).ask(60)
    n_int8 = sum("bits/a" in proposal.configuration for proposal in proposals)
    assert 15 <= n_int8 <= 45


def test_a_tiny_space_is_exhausted(small_space: SearchSpace, evaluated: Evaluated) -> None:
    space = dataclasses.replace(small_space, sites=small_space.sites[3:])  # 2 x 2 bits
    proposer = RandomProposer(space, 0)
    proposer.tell(evaluated(space, Proposal(Configuration(), "baseline"), 0))
    assert len({proposal.configuration for proposal in proposer.ask(10)}) == 3
    assert proposer.ask(1) == []


def test_seeds_come_first_and_those_that_are_known_not_at_all(small_space: SearchSpace, evaluated: Evaluated) -> None:
    seeds = [Configuration.of({"bits/a": 8}), Configuration.of({"bits/b": 8})]
    proposer = RandomProposer(small_space, 0, seeds=seeds)
    proposer.tell(evaluated(small_space, Proposal(seeds[0], "seed"), 1))
    first, second = proposer.ask(2)
    assert (first.configuration, first.origin, second.origin) == (seeds[1], "seed", "random")
