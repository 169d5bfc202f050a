import itertools
import random
from collections.abc import Mapping

import pytest

from parefront.evaluators import CostTables
from parefront.search.costs import CostModel
from parefront.search.goals import DEFAULT_GOALS, Goals, parse_goals
from parefront.search.seeds import Direction, LagrangeSweep, directions
from parefront.search.site_blocks import SiteBlocks
from parefront.spaces import Choice, SearchSpace, Site
from parefront.spaces.network import Layer
from parefront.spaces.space import LayerWidths

Drops = Mapping[str, Mapping[Choice, float]]
SIZE = parse_goals(["accuracy", "size"], [], ("",))
WEIGHTS = [(1.0, 0.0), (0.6, 0.4), (0.1, 0.9)]


@pytest.mark.parametrize(
    "names",
    [
        ("accuracy", "size"),
        ("accuracy", "latency", "size"),
        ("accuracy", "latency", "size", "macs"),
        ("latency", "latency@board", "accuracy"),
    ],
)
def test_every_objective_that_costs_has_a_direction_of_its_own(
    small_space: SearchSpace, names: tuple[str, ...]
) -> None:
    costs = CostModel(small_space, CostTables(small_space), parse_goals(names, [], ("", "board")))
    found = directions(costs, parse_goals(names, [], ("", "board")))
    assert len({direction.name for direction in found}) == len(found)
    assert all(sum(direction.weights) == pytest.approx(1) for direction in found)
    strongest = {max(range(len(costs.scores)), key=lambda k: direction.weights[k]) for direction in found}
    assert strongest == set(range(len(costs.scores)))


def test_a_limited_score_that_is_no_objective_is_not_traded_for(small_space: SearchSpace) -> None:
    goals = parse_goals(["accuracy", "latency"], ["size<=10kB"], ("",))
    costs = CostModel(small_space, CostTables(small_space), goals)
    assert costs.scores == ("latency_ms", "size_bytes")
    assert {direction.weights for direction in directions(costs, goals)} == {(1.0, 0.0)}


@pytest.fixture
def drops(small_space: SearchSpace) -> Drops:
    return {
        site.name: {
            choice: (2.0 if site.name.startswith("prune") else 1.0) * i for i, choice in enumerate(site.choices)
        }
        for site in small_space.sites
    }


def total(drops: Drops, choices: Mapping[str, Choice]) -> float:
    return sum(drops[name][choice] for name, choice in choices.items())


def model(space: SearchSpace, goals: Goals = DEFAULT_GOALS) -> CostModel:
    return CostModel(space, CostTables(space), goals)


def sweep(space: SearchSpace, costs: CostModel, drops: Drops, weights: tuple[float, ...]) -> LagrangeSweep:
    return LagrangeSweep(SiteBlocks(space, costs), Direction("x", weights), drops)


def cost(costs: CostModel, space: SearchSpace, weights: tuple[float, ...], choices: Mapping[str, Choice]) -> float:
    """What all layers cost, as a share of the baseline."""
    shares = [costs.shares(layer, choices) for layer in space.widths]
    return sum(weight * share for each in shares for weight, share in zip(weights, each, strict=True))


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
@pytest.mark.parametrize("multiplier", [0.5, 5.0, 50.0])
def test_no_single_site_improves_what_is_solved(
    small_space: SearchSpace, drops: Drops, weights: tuple[float, ...], multiplier: float
) -> None:
    costs = model(small_space)

    def price(choices: Mapping[str, Choice]) -> float:
        return total(drops, choices) + multiplier * cost(costs, small_space, weights, choices)

    found = sweep(small_space, costs, drops, weights).solve(multiplier, {})
    neighbours = [{**found, site.name: choice} for site in small_space.sites for choice in site.choices]
    assert price(found) <= min(map(price, neighbours)) + 1e-9


@pytest.mark.parametrize(
    ("techniques", "slack"),
    [
        (("bits",), 1.0),  # layers do not touch each other: descent is exact
        (("rank", "bits"), 1.3),  # rank and bits meet in one layer's cost: it may stop beside the best, but not far
        (("rank", "prune", "bits"), 1.5),
    ],
    ids=str,
)
def test_what_is_solved_beside_trying_everything(
    small_space: SearchSpace, techniques: tuple[str, ...], slack: float
) -> None:
    sites = tuple(site for site in small_space.sites if site.technique in techniques)
    space = SearchSpace(sites, (), small_space.widths)
    costs, rng = model(space), random.Random(0)
    names = [site.name for site in sites]
    everything = [dict(zip(names, each, strict=True)) for each in itertools.product(*(s.choices for s in sites))]
    for _ in range(20):
        drops = {site.name: {c: rng.uniform(0, 2) * (c != site.neutral) for c in site.choices} for site in sites}
        multiplier, weights = 10 ** rng.uniform(-1, 2), rng.choice(WEIGHTS)

        def price(choices: Mapping[str, Choice]) -> float:
            return total(drops, choices) + multiplier * cost(costs, space, weights, choices)  # noqa: B023

        found = sweep(space, costs, drops, weights).solve(multiplier, {}, passes=10)
        assert price(found) <= slack * min(map(price, everything)) + 1e-9


def test_bits_alone_are_chosen_optimally(small_space: SearchSpace) -> None:
    """Without pruning, folds and ranks the layers do not touch each other, and descent is exact."""
    space = SearchSpace(small_space.sites[3:], (), small_space.widths)
    drops: Drops = {site.name: {32: 0.0, 8: 1.0} for site in space.sites}
    # a: 4*32*9 = 1152 weights, b: 2304. In 8 bits they save 3/4 of 4608 and of 9216 bytes, less 13 bytes per output
    # channel for a bias of 12 instead of 4 bytes and 5 for the scale: a saves 3456 - 416 = 3040, b 6912 - 104 = 6808
    # of 13824 + 160 = 13984 bytes.
    by_size = sweep(space, model(space, SIZE), drops, (1.0,))
    # One point is worth it from a multiplier of 13984 / 6808 = 2.05 for b, and of 13984 / 3040 = 4.6 for a.
    for multiplier, expected in ((1.9, (32, 32)), (2.2, (32, 8)), (4.4, (32, 8)), (4.8, (8, 8))):
        found = by_size.solve(multiplier, {})
        assert (found["bits/a"], found["bits/b"]) == expected


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_where_costs_weigh_more_the_solution_costs_no_more(
    small_space: SearchSpace, drops: Drops, weights: tuple[float, ...]
) -> None:
    costs = model(small_space)
    along = sweep(small_space, costs, drops, weights)
    found = [along.solve(multiplier, {}) for multiplier in (0.1, 1.0, 5.0, 25.0, 1e4)]
    prices = [cost(costs, small_space, weights, choices) for choices in found]
    assert all(cheaper <= dearer + 1e-9 for dearer, cheaper in itertools.pairwise(prices))
    assert prices[-1] < prices[0]
    lost = [total(drops, choices) for choices in found]
    assert lost == sorted(lost)


def test_a_solution_begins_with_the_choices_it_is_given(small_space: SearchSpace, drops: Drops) -> None:
    along = sweep(small_space, model(small_space), drops, WEIGHTS[0])
    assert along.solve(5.0, {"prune/a": 16}, passes=0) == {
        site.name: 16 if site.name == "prune/a" else site.neutral for site in small_space.sites
    }


def overlapping_folds(n: int) -> SearchSpace:
    """n convolutions in a row, wide and narrow in turn; folds of two and of three that follow each other overlap."""
    names = [f"c{i}" for i in range(n)]
    channels = [8, *(64 if i % 2 else 16 for i in range(n - 1)), 8]
    widths = {
        name: LayerWidths(Layer(name, "conv", channels[i], channels[i + 1], (1, 1), (1, 1), 1, 16), (), None)
        for i, name in enumerate(names)
    }
    sites = []
    for i in range(n - 1):
        spans = [tuple(names[i : i + length]) for length in (2, 3) if i + length <= n]
        choices = ("off", *(f"on:{len(span)}" for span in spans))
        sites.append(Site(f"fold/{names[i]}", spans[-1], choices, ((), *spans)))
    return SearchSpace(tuple(sites), (), widths)


@pytest.mark.parametrize("n", [3, 5, 6])
def test_folds_that_overlap_are_chosen_together_and_exactly(n: int) -> None:
    """Against all choices of folds that share no layer."""
    space, rng = overlapping_folds(n), random.Random(n)
    costs = model(space, SIZE)
    for _ in range(10):
        drops = {site.name: {c: rng.uniform(0, 1) * (c != site.neutral) for c in site.choices} for site in space.sites}
        multiplier = 10 ** rng.uniform(-1, 1.5)

        def price(choices: Mapping[str, Choice], drops: Drops = drops, multiplier: float = multiplier) -> float:
            return total(drops, choices) + multiplier * cost(costs, space, (1.0,), choices)

        found = sweep(space, costs, drops, (1.0,)).solve(multiplier, {})
        allowed = []
        for picked in itertools.product(*(site.choices for site in space.sites)):
            spans = [site.touched(choice) for site, choice in zip(space.sites, picked, strict=True)]
            layers = [layer for span in spans for layer in span]
            if len(layers) == len(set(layers)):
                allowed.append(dict(zip([site.name for site in space.sites], picked, strict=True)))
        assert found in allowed
        assert price(found) == pytest.approx(min(map(price, allowed)))


def test_a_sweep_takes_an_operator_or_a_rank(small_space: SearchSpace, drops: Drops) -> None:
    operators = Site("operator/b", ("b",), ("full", "pointwise"))
    space = SearchSpace((operators, small_space.site("rank/b")), (), small_space.widths)
    costs = CostModel(space, CostTables(space), SIZE)
    cheap = {**drops, "operator/b": {"full": 0.0, "pointwise": 0.01}}
    choices = sweep(space, costs, cheap, (1.0,)).solve(100.0, {})
    assert (choices["operator/b"], choices["rank/b"]) == ("pointwise", "full")
    dear = {**drops, "operator/b": {"full": 0.0, "pointwise": 1e6}}
    choices = sweep(space, costs, dear, (1.0,)).solve(100.0, {})
    assert choices["operator/b"] == "full"
    assert choices["rank/b"] != "full"
