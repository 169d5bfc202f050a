"""Tables of a divergence that is a formula, and takes one second of a clock that only it moves."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from parefront.evaluators.sensitivity_table import (
    N_TIMED,
    SensitivityPlan,
    SensitivityTable,
    by_importance,
    corrected,
)
from parefront.evaluators.table_file import TableFile
from parefront.hardware_profiles.errors import SpaceError
from parefront.spaces import Choice, Configuration, SearchSpace, Site

WIDE = Site("prune/a", ("a",), (64, 56, 48, 40, 32, 24, 16, 8))
FOLD = Site("fold/a", ("a", "b"), ("off", "on"))
BITS = Site("bits/b", ("b",), (32, 16, 8))
SPACE = SearchSpace((FOLD, WIDE, BITS), (), {})
N_CHOICES = 7 + 1 + 2
ESTIMATES: dict[str, dict[Choice, float]] = {
    WIDE.name: {width: 1 - int(width) / 64 for width in WIDE.choices},
    FOLD.name: {"off": 0.0, "on": 1.0},
    BITS.name: {32: 0.0, 16: 0.1, 8: 0.2},
}


class Formula:
    """Divergences by site and choice, and the time that asking for them took."""

    def __init__(self, values: Mapping[str, Mapping[Choice, float | str]] = {}) -> None:
        self.values, self.asked, self.now = values, list[Configuration](), 0.0

    def of(self, configuration: Configuration) -> float:
        self.asked.append(configuration)
        self.now += 1.0
        ((site, choice),) = configuration.items()
        value = self.values.get(site, {}).get(choice, ESTIMATES[site][choice] / 2)
        if isinstance(value, str):
            raise SpaceError(value)
        return value

    def clock(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> TableFile:
    return TableFile(tmp_path / "sensitivity.jsonl", 100)


def table(formula: Formula, file: TableFile) -> SensitivityTable:
    return SensitivityTable(SPACE, formula, file, formula.clock)


def test_the_most_telling_choices_come_first_and_of_these_widths() -> None:
    order = [(site.name, choice) for site, choice in by_importance(SPACE)]
    assert order[:3] == [(WIDE.name, 8), (FOLD.name, "on"), (BITS.name, 8)]
    assert order[3:5] == [(WIDE.name, 40), (BITS.name, 16)]
    assert len(order) == len(set(order)) == N_CHOICES


def test_the_cost_is_known_before_it_is_paid(file: TableFile) -> None:
    formula = Formula()
    plan = table(formula, file).plan(max_seconds=100.0)
    assert len(formula.asked) == N_TIMED
    assert plan == SensitivityPlan(N_CHOICES, N_TIMED, 1.0, 100.0 - N_TIMED)
    assert (plan.n_measured, plan.seconds) == (7, 7.0)
    assert str(plan) == "3 of 10 choices known, 7 to measure in 7 s"


def test_with_enough_time_everything_is_measured(file: TableFile) -> None:
    formula, steps = Formula(), list[tuple[int, int]]()
    measured = table(formula, file)
    measured.measure(measured.plan(100.0), lambda done, total: steps.append((done, total)))
    assert steps == [(step, 7) for step in range(1, 8)]
    expected = {site: {choice: value / 2 for choice, value in values.items()} for site, values in ESTIMATES.items()}
    assert measured.damages(ESTIMATES) == expected


def test_the_time_is_kept_and_what_is_missing_estimated(file: TableFile) -> None:
    formula = Formula()
    measured = table(formula, file)
    plan = measured.plan(5.0)
    assert str(plan) == "3 of 10 choices known, 2 to measure in 2 s, 5 estimated (at most 2 s)"
    measured.measure(plan)
    assert formula.now == 5.0
    found = measured.damages(ESTIMATES)
    assert found[FOLD.name] == {"off": 0.0, "on": 0.5}
    assert found[BITS.name] == {32: 0.0, 16: 0.05, 8: 0.1}
    # Known are widths 40 and 8, at half their estimates. In front a third and two thirds of that, as powers.
    assert [found[WIDE.name][width] for width in (64, 56, 48, 40)] == pytest.approx(
        [0, 1 / 8 / 2 ** (1 / 3), 2 / 8 / 2 ** (2 / 3), 3 / 16]
    )
    # Between them half.
    assert [found[WIDE.name][width] for width in (32, 24, 16, 8)] == pytest.approx([4 / 16, 5 / 16, 6 / 16, 7 / 16])


def test_a_slow_measurement_ends_the_table_in_time(file: TableFile) -> None:
    formula = Formula()
    measured = table(formula, file)
    measured.measure(SensitivityPlan(N_CHOICES, 0, 0.1, 3.0))
    assert len(formula.asked) == 3


def test_without_time_nothing_is_measured(file: TableFile) -> None:
    formula = Formula()
    measured = table(formula, file)
    plan = measured.plan(0.0)
    assert (plan.n_measured, plan.n_known) == (0, 0)
    measured.measure(plan)
    assert formula.asked == []
    assert measured.damages(ESTIMATES) == ESTIMATES


def test_a_later_table_goes_on_where_an_earlier_one_stopped(file: TableFile) -> None:
    first = table(Formula(), file)
    first.measure(first.plan(6.0))
    formula = Formula()
    second = table(formula, file)
    second.measure(second.plan(100.0))
    assert len(formula.asked) == N_CHOICES - 6
    assert second.damages(ESTIMATES)[WIDE.name][56] == pytest.approx(1 / 16)
    third = Formula()
    assert table(third, file).plan(100.0) == SensitivityPlan(N_CHOICES, N_CHOICES, 0.0, 100.0)
    assert third.asked == []


def test_what_could_not_be_measured_counts_as_the_worst_and_says_why(file: TableFile) -> None:
    formula = Formula({FOLD.name: {"on": "values are too large"}, BITS.name: {8: float("nan"), 16: 7.0}})
    measured = table(formula, file)
    measured.measure(measured.plan(100.0))
    found = measured.damages(ESTIMATES)
    assert (found[FOLD.name]["on"], found[BITS.name][8], found[BITS.name][16]) == (1.0, 1.0, 1.0)
    reasons = {(FOLD.name, "on"): "values are too large", (BITS.name, 8): "the outputs are no numbers"}
    assert measured.failures == reasons
    assert table(Formula(), file).failures == reasons


def test_choices_that_are_no_longer_offered_are_left_out(file: TableFile) -> None:
    file.add({"of": "prune/a=4", "divergence": 0.5})
    assert table(Formula(), file).plan(0.0).n_known == 0


RANK = Site("rank/a", ("a",), ("full", "svd:32", "svd:16", "svd:8"))
"""With estimates of first order, weakest choice first."""


def rank_values(*values: float) -> dict[Choice, float]:
    return dict(zip(RANK.choices, values, strict=False))


def test_between_two_known_choices_the_estimates_give_the_course() -> None:
    # At 4 % of its estimate before and 16 % behind: in the middle the geometric mean, 8 % of 0.5.
    found = corrected(RANK, {"svd:32": 0.01, "svd:8": 0.16}, rank_values(0.0, 0.25, 0.5, 1.0))
    assert found == pytest.approx(rank_values(0.0, 0.01, 0.04, 0.16))


def test_behind_the_last_known_choice_estimates_are_off_as_much() -> None:
    found = corrected(RANK, {"svd:32": 0.1}, rank_values(0.0, 0.2, 0.4, 0.6))
    assert found == pytest.approx(rank_values(0.0, 0.1, 0.2, 0.3))


def test_in_front_of_the_first_known_choice_small_estimates_hold_better() -> None:
    # At 1/8 of its estimate: 1/2 and 1/4 of the two before.
    found = corrected(RANK, {"svd:8": 0.1}, rank_values(0.0, 0.2, 0.4, 0.8))
    assert found == pytest.approx(rank_values(0.0, 0.1, 0.1, 0.1))


def test_nothing_is_worse_than_the_worst() -> None:
    # Four times the estimate: 1.2 and 2.4 behind.
    found = corrected(RANK, {"svd:32": 0.4}, rank_values(0.0, 0.1, 0.3, 0.6))
    assert found == pytest.approx(rank_values(0.0, 0.4, 1.0, 1.0))


@pytest.mark.parametrize(("known", "estimate", "behind"), [(0.0, 0.5, 1e-6), (0.3, 0.0, 1.0), (0.0, 0.0, 0.5)])
def test_where_there_is_nothing_to_divide_by_the_least_stands_in(known: float, estimate: float, behind: float) -> None:
    # 0 counts as 1e-6: a factor of 2e-6, of 300,000, and of 1, on an estimate of 0.5.
    found = corrected(RANK, {"svd:32": known}, rank_values(0.0, estimate, 0.5, 0.5))
    assert found == pytest.approx(rank_values(0.0, known, behind, behind))


def test_narrower_layers_never_do_less() -> None:
    site = Site("prune/a", ("a",), (64, 48, 32, 16))
    overshooting = {64: 0.0, 48: 0.1, 32: 0.6, 16: 0.5}
    assert corrected(site, {}, overshooting) == {64: 0.0, 48: 0.1, 32: 0.6, 16: 0.6}
    # From 16, which is off by half, 32 is off by the root of a quarter in three parts: 0.6 * 0.5 ** (2 / 3) = 0.378.
    found = corrected(site, {16: 0.25}, overshooting)
    assert found == {64: 0.0, 48: pytest.approx(0.1 * 0.5 ** (1 / 3)), 32: 0.25, 16: 0.25}
