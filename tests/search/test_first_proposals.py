from collections.abc import Callable

from parefront.search.first_proposals import FirstProposals
from parefront.search.proposal import Proposal
from parefront.search.trial import Trial
from parefront.spaces import Configuration

from .conftest import ListProposer

A, B, C = (Proposal(Configuration.of({"prune/a": width}), "by hand") for width in (24, 16, 8))


def test_the_list_comes_first() -> None:
    proposer = FirstProposals([A, B], ListProposer([C.configuration]))
    assert proposer.ask(1) == [A]
    assert proposer.ask(2) == [B, C]
    assert proposer.ask(1) == []


def test_what_is_under_way_is_not_proposed_again() -> None:
    proposer = FirstProposals([A], ListProposer([A.configuration, B.configuration]))
    assert proposer.ask(3) == [A, B]


def test_what_was_told_drops_out_and_is_passed_on(make_trial: Callable[..., Trial]) -> None:
    inner = ListProposer([C.configuration])
    proposer = FirstProposals([A, B], inner)
    trial = make_trial(2, {"prune/a": 24}, 1.0)
    proposer.tell(trial)
    assert inner.told == [trial]
    assert proposer.ask(2) == [B, C]


def test_a_proposer_that_repeats_what_is_under_way_is_asked_again() -> None:
    proposer = FirstProposals([A], ListProposer([A.configuration, B.configuration]))
    assert proposer.ask(1) == [A]
    assert proposer.ask(1) == [B]
