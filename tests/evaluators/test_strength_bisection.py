import math

import pytest

from parefront.evaluators.strength_bisection import MAX_PROBES, best_strength, next_strength


def search(left: dict[float, int], budget: int) -> dict[float, int]:
    """Probes a step function: from each strength on, so many are left."""
    tried: dict[float, int] = {}
    while (strength := next_strength(tried, budget, 0.25)) is not None:
        tried[strength] = left[max(threshold for threshold in left if threshold <= strength)]
    return tried


def test_it_begins_where_it_is_told_and_goes_up_by_fours_then_halves_the_bracket() -> None:
    assert next_strength({}, 5, 0.25) == 0.25
    assert next_strength({0.25: 9}, 5, 0.25) == 1.0
    assert next_strength({0.25: 9, 1.0: 3}, 5, 0.25) == 0.5  # the geometric mean


def test_it_goes_down_where_the_first_is_too_strong() -> None:
    assert next_strength({0.25: 3}, 5, 0.25) == 0.0625


def test_it_ends_where_the_budget_is_met_exactly() -> None:
    tried = search({0.0: 9, 0.6: 5, 0.9: 2}, 5)
    assert list(tried.values())[-1] == 5
    assert best_strength(tried, 5) == list(tried)[-1]


def test_a_number_that_is_skipped_ends_close_to_the_step() -> None:
    tried = search({0.0: 9, 0.6: 2}, 5)
    best = best_strength(tried, 5)
    assert best is not None
    assert 0.6 <= best < 0.6 * 1.2
    assert len(tried) <= MAX_PROBES


def test_what_cannot_be_reached_ends_with_nothing() -> None:
    tried = search({0.0: 9}, 5)
    assert len(tried) == MAX_PROBES
    assert best_strength(tried, 5) is None


def test_where_more_strength_leaves_more_it_still_ends() -> None:
    tried = {0.25: 4, 1.0: 6}
    assert best_strength(tried, 5) == 0.25
    following = next_strength(tried, 5, 0.25)
    assert following is not None
    assert following < 0.25


@pytest.mark.parametrize("budget", [1, 3, 6])
def test_strengths_are_short_numbers(budget: int) -> None:
    for strength in search({0.0: 9, 0.3: 6, 0.77: 3, 5.1: 1}, budget):
        assert math.isclose(strength, float(f"{strength:.4g}"), rel_tol=0)
