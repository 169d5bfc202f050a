import itertools
from collections.abc import Mapping

import pytest

from parefront.evaluators import CostTables
from parefront.search.seeds import DIRECTIONS, Direction, LagrangeSweep, uniform_ladder
from parefront.spaces import Choice, Configuration, SearchSpace

Drops = Mapping[str, Mapping[Choice, float]]


def test_the_ladder_treats_all_layers_alike(small_space: SearchSpace) -> None:
    ladder = {origin: configuration for configuration, origin in uniform_ladder(small_space)}
    assert ladder["uniform prune 0%"] == Configuration.of({"bits/a": 8, "bits/b": 8})
    assert ladder["uniform prune 50%"] == Configuration.of({"bits/a": 8, "bits/b": 8, "prune/a": 16})
    # A folded pair has no inner width and one bit-width.
    assert ladder["uniform prune 50%, folds"] == Configuration.of({"bits/a": 8, "fold/a": "on"})
    # (24 * 3 + 8 * 3) * 16 = 1536 weights at 24 channels, fewer than 24 * 8 * 9 = 1728: the rank is kept.
    assert ladder["uniform prune 25%, ranks"] == Configuration.of(
        {"bits/a": 8, "bits/b": 8, "prune/a": 24, "rank/b": "spatial:16"}
    )


def test_the_ladder_repeats_nothing(small_space: SearchSpace, tiny_space: SearchSpace) -> None:
    for space in (small_space, tiny_space):
        ladder = [configuration for configuration, _ in uniform_ladder(space)]
        assert len(set(ladder)) == len(ladder)
        assert all(space.canonical(configuration) == configuration for configuration in ladder)


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


@pytest.mark.parametrize("direction", DIRECTIONS, ids=lambda direction: direction.name)
@pytest.mark.parametrize("multiplier", [0.5, 5.0, 50.0])
def test_no_single_site_improves_what_is_solved(
    small_space: SearchSpace, drops: Drops, direction: Direction, multiplier: float
) -> None:
    tables = CostTables(small_space)
    latency_ms, size_bytes = tables.latency_ms({}), tables.size_bytes({})

    def price(choices: Mapping[str, Choice]) -> float:
        # Latency and size as shares of the uncompressed network's.
        cost = direction.latency * tables.latency_ms(choices) / latency_ms
        cost += direction.size * tables.size_bytes(choices) / size_bytes
        return total(drops, choices) + multiplier * cost

    found = LagrangeSweep(small_space, tables, drops).solve(multiplier, direction, {})
    neighbours = [{**found, site.name: choice} for site in small_space.sites for choice in site.choices]
    assert price(found) <= min(map(price, neighbours)) + 1e-9


def test_bits_alone_are_chosen_optimally(small_space: SearchSpace, drops: Drops) -> None:
    """Without pruning, folds and ranks the layers do not touch each other, and descent is exact."""
    tables = CostTables(small_space)
    cheap: Drops = {
        name: {choice: value if name.startswith("bits") else 1e9 * value for choice, value in values.items()}
        for name, values in drops.items()
    }
    size_bytes = tables.size_bytes({})
    # a: 4*32*9 = 1152 weights, b: 2304; in 8 bits they save 3/4 of 4608 and of 9216 bytes, less 8 bytes per output
    # channel for the scales: a saves 3456 - 256 = 3200, b saves 6912 - 64 = 6848 of 13824 + 160 = 13984 bytes.
    assert size_bytes == 13_984
    sweep = LagrangeSweep(small_space, tables, cheap)
    size_only = Direction("size", 0.0, 1.0)
    # One point is worth it from a multiplier of 13984 / 6848 = 2.04 for b, and of 13984 / 3200 = 4.37 for a.
    for multiplier, expected in ((1.9, (32, 32)), (2.2, (32, 8)), (4.2, (32, 8)), (4.6, (8, 8))):
        found = sweep.solve(multiplier, size_only, {})
        assert (found["bits/a"], found["bits/b"]) == expected


@pytest.mark.parametrize("direction", DIRECTIONS, ids=lambda direction: direction.name)
def test_more_drop_allowed_never_costs_more(small_space: SearchSpace, drops: Drops, direction: Direction) -> None:
    tables = CostTables(small_space)
    sweep = LagrangeSweep(small_space, tables, drops)

    def cost(choices: Mapping[str, Choice]) -> float:
        shares = tables.latency_ms(choices) / tables.latency_ms({}), tables.size_bytes(choices) / tables.size_bytes({})
        return direction.latency * shares[0] + direction.size * shares[1]

    found = [sweep.at_drop(target, direction, lambda choices: total(drops, choices)) for target in (0.5, 1, 2, 4, 8)]
    costs = list(map(cost, found))
    assert all(cheaper <= dearer + 1e-9 for dearer, cheaper in itertools.pairwise(costs))
    assert costs[-1] < costs[0]


def test_the_target_is_kept(small_space: SearchSpace, drops: Drops) -> None:
    sweep = LagrangeSweep(small_space, CostTables(small_space), drops)
    for target in (0.5, 1.0, 3.0, 6.0):
        found = sweep.at_drop(target, DIRECTIONS[0], lambda choices: total(drops, choices))
        assert total(drops, found) <= target
        assert small_space.canonical(found) == found
