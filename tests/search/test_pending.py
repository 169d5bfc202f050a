import json
from pathlib import Path

import pytest

from parefront.hardware_profiles.errors import SearchError
from parefront.search.pending import PendingProposals
from parefront.search.proposal import Proposal
from parefront.spaces import Configuration

from .conftest import ListProposer, MakeTrial

A, B, C = (Proposal(Configuration.of({"prune/a": width}), "by hand") for width in (24, 16, 8))
ALL = [each.configuration for each in (A, B, C)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pending.json"


def listed(path: Path) -> list[dict[str, object]]:
    return [each["configuration"] for each in json.loads(path.read_text())["pending"]]


def test_the_file_lists_what_is_under_way(path: Path, make_trial: MakeTrial) -> None:
    proposer = PendingProposals(path, ListProposer(ALL))
    assert proposer.ask(2) == [A, B]
    assert listed(path) == [{"prune/a": 24}, {"prune/a": 16}]
    proposer.tell(make_trial(2, {"prune/a": 24}, 1.0))
    assert listed(path) == [{"prune/a": 16}]
    assert list(path.parent.iterdir()) == [path]


def test_a_killed_search_proposes_it_again_first_and_as_it_was(path: Path) -> None:
    one = Proposal(A.configuration, "mutation of #3", {"parents": [3], "predicted": {"size_bytes": 1.5}})
    PendingProposals(path, FixedProposer([one, B])).ask(2)
    again = PendingProposals(path, ListProposer([A.configuration, C.configuration]))
    assert again.ask(3) == [one, B, C]
    assert listed(path) == [{"prune/a": 24}, {"prune/a": 16}, {"prune/a": 8}]


def test_what_was_recorded_before_the_kill_is_not_proposed_again(path: Path, make_trial: MakeTrial) -> None:
    PendingProposals(path, ListProposer(ALL)).ask(2)
    inner = ListProposer([C.configuration])
    again = PendingProposals(path, inner)
    trial = make_trial(2, {"prune/a": 24}, 1.0)
    again.tell(trial)
    assert inner.told == [trial]
    assert listed(path) == [{"prune/a": 16}]
    assert again.ask(2) == [B, C]


def test_a_proposer_with_nothing_left_writes_nothing(path: Path) -> None:
    assert PendingProposals(path, ListProposer([])).ask(2) == []
    assert not path.exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": 2, "pending": []}', '{"schema": 1, "pending": [{}]}'])
def test_a_file_that_is_none_of_ours_is_refused(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(SearchError, match=r"pending.json must list .* remove it"):
        PendingProposals(path, ListProposer([]))


class FixedProposer(ListProposer):
    """Proposes proposals as they are."""

    def __init__(self, proposals: list[Proposal]) -> None:
        super().__init__([])
        self._proposals = proposals

    def ask(self, n: int) -> list[Proposal]:
        return self._proposals[:n]
