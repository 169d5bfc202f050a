import random
from collections.abc import Callable

import pytest

from parefront.evaluators import CostTables
from parefront.search.candidates import Candidate, CandidatePool
from parefront.search.costs import CostModel
from parefront.search.goals import DEFAULT_GOALS
from parefront.search.proposal import Proposal
from parefront.search.seeds import directions
from parefront.search.surrogate import DropSurrogate
from parefront.search.trial import Trial
from parefront.spaces import Configuration, SearchSpace

Evaluated = Callable[[SearchSpace, Proposal, int], Trial]


@pytest.fixture
def make(tiny_space: SearchSpace) -> Callable[[], CandidatePool]:
    def pool() -> CandidatePool:
        damages = {
            site.name: {c: i / (len(site.choices) - 1) for i, c in enumerate(site.choices)} for site in tiny_space.sites
        }
        costs = CostModel(tiny_space, CostTables(tiny_space), DEFAULT_GOALS)
        surrogate = DropSurrogate(tiny_space, damages, 5.0)
        return CandidatePool(tiny_space, costs, surrogate, directions(costs, DEFAULT_GOALS))

    return pool


@pytest.fixture
def members(tiny_space: SearchSpace, evaluated: Evaluated) -> list[Trial]:
    chosen = [{"bits/stem": 8}, {"prune/stem": 8, "bits/hidden": 8}, {"fold/block.conv1": "on"}]
    return [evaluated(tiny_space, Proposal(Configuration.of(each), ""), 4 + i) for i, each in enumerate(chosen)]


def test_candidates_are_canonical_new_and_each_once(
    make: Callable[[], CandidatePool], members: list[Trial], tiny_space: SearchSpace
) -> None:
    known = {member.configuration for member in members}
    found = make().draw(members, known, 1, random.Random(0))
    assert all(tiny_space.canonical(each.configuration) == each.configuration for each in found)
    assert len({each.configuration for each in found} | known) == len(found) + len(known)
    again = {each.configuration for each in found}
    assert not again & {each.configuration for each in make().draw(members, known | again, 1, random.Random(0))}


def test_every_move_names_its_parents(make: Callable[[], CandidatePool], members: list[Trial]) -> None:
    found = make().draw(members, set(), 4, random.Random(0))
    moves = [each for each in found if each.parents]
    assert {each.origin.partition(" of ")[0] for each in moves} == {"mutation", "exchange", "shift", "crossover"}
    for each in moves:
        assert all(f"#{number}" in each.origin for number in each.parents)
        assert each.anchor is not None
        assert each.anchor.number in each.parents
    assert {number for each in moves for number in each.parents} == {4, 5, 6}
    assert any(each.origin.startswith("tables' best for") for each in found)


def test_for_more_proposals_more_is_screened(make: Callable[[], CandidatePool], members: list[Trial]) -> None:
    few, many = (make().draw(members, set(), n, random.Random(0)) for n in (1, 8))
    assert len(many) > 2 * len(few)


def test_without_a_front_only_the_tables_speak(make: Callable[[], CandidatePool]) -> None:
    found: list[Candidate] = make().draw([], set(), 1, random.Random(0))
    assert found
    assert all(not each.parents and each.anchor is None for each in found)


def test_the_same_random_numbers_give_the_same_candidates(
    make: Callable[[], CandidatePool], members: list[Trial]
) -> None:
    first, second = (make().draw(members, set(), 2, random.Random(5)) for _ in range(2))
    assert first == second
