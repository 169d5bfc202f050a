import pytest

from parefront.evaluators.effective_degree import FoldedNetwork, effective_degree


def curve(seed: int, drops: dict[int, float], error: float = 0.0) -> list[FoldedNetwork]:
    return [FoldedNetwork(seed, n, drop, error) for n, drop in drops.items()]


def test_it_is_the_fewest_activations_within_the_tolerance() -> None:
    degree = effective_degree(curve(0, {8: 0.2, 5: 1.0, 3: 1.1}), 10, 1.0)
    assert (degree.n_activations, degree.low, degree.high) == (5, 5, 5)
    assert degree.by_seed == {0: 5}


def test_a_dip_on_the_way_does_not_hide_a_smaller_network() -> None:
    assert effective_degree(curve(0, {8: 2.0, 5: 0.5}), 10, 1.0).n_activations == 5


@pytest.mark.parametrize("networks", [[], curve(0, {5: 3.0})])
def test_where_nothing_keeps_the_accuracy_it_is_that_of_the_unfolded_network(networks: list[FoldedNetwork]) -> None:
    degree = effective_degree(networks, 10, 1.0)
    assert (degree.n_activations, degree.low, degree.high) == (10, 10, 10)


def test_of_several_seeds_it_is_the_upper_median() -> None:
    networks = [each for seed, n in enumerate((4, 6, 7, 9)) for each in curve(seed, {n: 0.0})]
    degree = effective_degree(networks, 10, 1.0)
    assert degree.n_activations == 7
    assert degree.by_seed == {0: 4, 1: 6, 2: 7, 3: 9}
    # The upper median of four draws is 4 where at least three are (13 of 256 cases), 9 where two are (67 of 256).
    assert (degree.low, degree.high) == (4, 9)


def test_its_interval_holds_what_the_measuring_error_leaves_open() -> None:
    # At exactly the tolerance either answer comes half the time; far from it, compared with the error, one only.
    assert _interval(curve(0, {5: 1.0}, error=0.3)) == (5, 10)
    assert _interval(curve(0, {5: 0.0}, error=0.3)) == (5, 5)
    assert _interval(curve(0, {5: 2.5}, error=0.3)) == (10, 10)


def _interval(networks: list[FoldedNetwork]) -> tuple[int, int]:
    degree = effective_degree(networks, 10, 1.0)
    return degree.low, degree.high


def test_the_same_seed_gives_the_same_interval() -> None:
    networks = [each for seed in range(3) for each in curve(seed, {3: 1.2, 5: 0.9, 8: 0.1}, error=0.4)]
    assert effective_degree(networks, 10, 1.0, seed=1) == effective_degree(networks, 10, 1.0, seed=1)
