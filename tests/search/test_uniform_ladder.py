from parefront.search.uniform_ladder import uniform_ladder
from parefront.spaces import Configuration, SearchSpace, Site


def test_the_ladder_treats_all_layers_alike(small_space: SearchSpace) -> None:
    ladder = {origin: configuration for configuration, origin in uniform_ladder(small_space)}
    assert ladder["uniform prune 0%"] == Configuration.of({"bits/a": 8, "bits/b": 8})
    assert ladder["uniform prune 50%"] == Configuration.of({"bits/a": 8, "bits/b": 8, "prune/a": 16})
    # A folded pair has no inner width and one bit-width.
    (folded,) = (each for origin, each in ladder.items() if origin.endswith(", folds"))  # at whatever share
    assert folded == Configuration.of({"bits/a": 8, "fold/a": "on"})
    # (24 * 3 + 8 * 3) * 16 = 1536 weights at 24 channels, fewer than 24 * 8 * 9 = 1728: the rank is kept.
    assert ladder["uniform prune 25%, ranks"] == Configuration.of(
        {"bits/a": 8, "bits/b": 8, "prune/a": 24, "rank/b": "spatial:16"}
    )


def test_the_ladder_repeats_nothing(small_space: SearchSpace, tiny_space: SearchSpace) -> None:
    for space in (small_space, tiny_space):
        ladder = [configuration for configuration, _ in uniform_ladder(space)]
        assert len(set(ladder)) == len(ladder)
        assert all(space.canonical(configuration) == configuration for configuration in ladder)


def test_operators_have_rungs_of_their_own(small_space: SearchSpace) -> None:
    operators = Site("operator/b", ("b",), ("full", "separable", "pointwise"))
    space = SearchSpace((operators, *small_space.sites), (), small_space.widths)
    ladder = {origin: configuration for configuration, origin in uniform_ladder(space)}
    both = [each for each in ladder.values() if "operator/b" in each]
    assert [each["operator/b"] for each in both] == ["separable", "separable"]
    assert ladder["uniform prune 0%, operators"] in both
    assert all("rank/b" not in each for each in both)
    # All others are as without them.
    assert {each for each in ladder.values() if each not in both} == {each for each, _ in uniform_ladder(small_space)}


def test_storage_is_taken_at_a_place_among_its_choices(small_space: SearchSpace) -> None:
    codes = Site("code/b", ("b",), ("full", "clusters:6", "clusters:4", "uniform:2", "uniform:1"))
    space = SearchSpace((*small_space.sites, codes), (), small_space.widths)
    ladder = {origin: configuration for configuration, origin in uniform_ladder(space)}
    assert ladder["uniform prune 50%, storage 50%"]["code/b"] == "clusters:4"
    assert "code/b" not in ladder["uniform prune 25%"]
