import pytest

from parefront.hardware_profiles.errors import SearchError
from parefront.search.rungs import Rungs
from parefront.search.trial import Fidelity


def test_without_a_short_size_everything_gets_the_short_fine_tune() -> None:
    rungs = Rungs(60, None, 8)
    assert rungs.lowest is Fidelity.SHORT
    assert [rungs.round_at(n) for n in (0, 8, 60)] == [(0, 0)] * 3


def test_promotions_fall_due_round_by_round() -> None:
    rungs = Rungs(20, 10, 2)
    assert rungs.lowest is Fidelity.CALIBRATED
    # Rounds after 8, 16 and all 20 candidates: half of each.
    assert rungs.round_at(0) == (0, 0)
    assert rungs.round_at(7) == (0, 0)
    assert rungs.round_at(8) == rungs.round_at(15) == (0, 4)
    assert rungs.round_at(16) == rungs.round_at(19) == (4, 8)
    assert rungs.round_at(20) == rungs.round_at(21) == (8, 10)


def test_the_last_round_fills_the_rung_whatever_the_division_leaves() -> None:
    assert Rungs(17, 5).round_at(8) == (0, 2)  # 5 * 8 / 17 = 2.4
    assert Rungs(17, 5).round_at(16) == (2, 4)  # 4.7
    assert Rungs(17, 5).round_at(17) == (4, 5)
    assert Rungs(0, 0).round_at(0) == (0, 0)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"n_candidates": -1}, "n_candidates must be 0 or more, got -1"),
        ({"n_candidates": 5, "n_short": -2}, "n_short must be 0 or more, got -2"),
        ({"n_candidates": 5, "n_full": -3}, "n_full must be 0 or more, got -3"),
        ({"n_candidates": 5, "n_short": 6}, "n_short must be at most the 5 candidates, got 6: leave it out"),
        ({"n_candidates": 5, "rule": "ranks"}, "unknown promotion rule 'ranks'"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(SearchError, match=message):
        Rungs(**sizes)  # type: ignore[arg-type]


def test_when_candidates_end_early_the_last_round_is_their_share() -> None:
    rungs = Rungs(20, 10, 2)
    assert rungs.round_at(12, is_last=True) == (4, 6)  # 12 of 20 candidates: 6 of 10
    assert rungs.round_at(8, is_last=True) == (0, 4)
    assert rungs.round_at(0, is_last=True) == (0, 0)
    assert rungs.round_at(20, is_last=True) == (8, 10)


def test_half_of_the_repeated_measurements_may_come_during_the_search() -> None:
    rungs = Rungs(20, n_repeats=8)
    assert [rungs.n_repeats_at(n) for n in (0, 4, 5, 19, 20, 25)] == [0, 0, 1, 3, 4, 4]
    assert Rungs(0, n_repeats=8).n_repeats_at(0) == 0
    with pytest.raises(SearchError, match="n_repeats must be 0 or more, got -1"):
        Rungs(20, n_repeats=-1)
