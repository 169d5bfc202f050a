import random
from collections.abc import Callable

import pytest

from parefront.evaluators import CostTables
from parefront.search.candidates import Candidate
from parefront.search.costs import CostModel
from parefront.search.expected_gain import ExpectedGain
from parefront.search.goals import DEFAULT_GOALS, Goals, parse_goals
from parefront.search.moves import random_configuration
from parefront.search.proposal import Proposal
from parefront.search.surrogate import DropSurrogate
from parefront.search.trial import Trial
from parefront.spaces import Choice, Configuration, SearchSpace

Evaluated = Callable[[SearchSpace, Proposal, int], Trial]
Screen = Callable[..., list[dict[str, Choice]]]


@pytest.fixture
def screen(small_space: SearchSpace, evaluated: Evaluated) -> Screen:
    """Chooses among configurations of which half were observed, so that predictions are good."""
    rng = random.Random(0)
    configurations = [Configuration(), *(random_configuration(small_space, rng) for _ in range(60))]
    trials = [evaluated(small_space, Proposal(each, ""), number) for number, each in enumerate(configurations)]
    damages = {
        site.name: {c: i / (len(site.choices) - 1) for i, c in enumerate(site.choices)} for site in small_space.sites
    }

    def chosen(
        candidates: list[dict[str, Choice]],
        n: int = 1,
        front: tuple[dict[str, Choice], ...] = (),
        pending: tuple[dict[str, Choice], ...] = (),
        goals: Goals = DEFAULT_GOALS,
    ) -> list[dict[str, Choice]]:
        costs, surrogate = (
            CostModel(small_space, CostTables(small_space), goals),
            DropSurrogate(small_space, damages, 5.0),
        )
        for trial in trials:
            costs.observe(trial)
        surrogate.fit(surrogate.rows(configurations), [trial.value("accuracy_drop") for trial in trials])
        gain = ExpectedGain(goals, trials[0], costs, surrogate)
        members = [evaluated(small_space, Proposal(Configuration.of(each), ""), 0) for each in front]
        points = [goals.objectives.point(member, trials[0]) for member in members]
        under_way = [Configuration.of(each) for each in pending]
        pool = [Candidate(Configuration.of(each), "") for each in candidates]
        return [
            dict(each.configuration) for each in gain.choose(pool, points, gain.points(under_way), n, random.Random(1))
        ]

    return chosen


INT8: dict[str, Choice] = {"bits/a": 8, "bits/b": 8}
SMALL: dict[str, Choice] = {"bits/a": 8, "bits/b": 8, "prune/a": 16}


def test_what_promises_more_is_chosen_first(screen: Screen) -> None:
    """In int8 both layers are four times smaller and three times faster; one alone is not."""
    assert screen([{"bits/a": 8}, INT8, {"prune/a": 24}]) == [INT8]


def test_what_the_front_has_is_not_chosen_again(screen: Screen) -> None:
    assert screen([INT8, SMALL], front=(INT8,)) == [SMALL]


def test_what_is_under_way_counts_as_had(screen: Screen) -> None:
    assert screen([INT8, {"prune/a": 16}], pending=()) == [INT8]
    assert screen([INT8, {"prune/a": 16, "bits/b": 8}], pending=(INT8,)) == [{"prune/a": 16, "bits/b": 8}]


def test_a_batch_holds_different_candidates(screen: Screen) -> None:
    pool: list[dict[str, Choice]] = [INT8, SMALL, {"bits/b": 8}, {"bits/b": 8, "prune/a": 24}]
    chosen = screen(pool, n=3)
    assert len(chosen) == 3
    assert all(chosen.count(each) == 1 for each in chosen)


def test_what_breaks_a_limit_is_not_chosen(screen: Screen, small_space: SearchSpace) -> None:
    """Uncompressed files take 14 kB, in int8 4 kB, with half of the channels 7 kB."""
    goals = parse_goals([], ["size<=6kB"], ("",))
    assert screen([{"prune/a": 16}, INT8], n=1, goals=goals) == [INT8]


def test_where_nothing_promises_anything_something_is_chosen(screen: Screen) -> None:
    best: dict[str, Choice] = {"bits/a": 8, "fold/a": "on"}
    assert len(screen([{"bits/a": 8}, {"prune/a": 24}], n=2, front=(INT8, SMALL, best), pending=(INT8,))) in (1, 2)


@pytest.mark.parametrize("names", [("accuracy", "size"), ("latency", "accuracy")], ids=str)
def test_two_objectives_in_any_order(screen: Screen, names: tuple[str, ...]) -> None:
    assert screen([{"bits/a": 8}, INT8], goals=parse_goals(names, [], ("",))) == [INT8]
