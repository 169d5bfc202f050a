"""Tables of a divergence that is a formula, and takes one second of a clock that only it moves."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from parefront.evaluators.sensitivity_table import (
    N_TIMED,
    SensitivityPlan,
    SensitivityTable,
    by_importance,
    interpolated,
)
from parefront.evaluators.table_file import TableFile
from parefront.hardware_profiles.errors import SpaceError
from parefront.spaces import Choice, Configuration, SearchSpace, Site

WIDE = Site("prune/a", ("a",), (64, 56, 48, 40, 32, 24, 16, 8))
FOLD = Site("fold/a", ("a", "b"), ("off", "on"))
BITS = Site("bits/b", ("b",), (32, 16, 8))
SPACE = SearchSpace((WIDE, FOLD, BITS), (), {})
N_CHOICES = 7 + 1 + 2
PRIOR: dict[str, dict[Choice, float]] = {
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
        value = self.values.get(site, {}).get(choice, PRIOR[site][choice] / 2)
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


def test_the_most_telling_choices_come_first() -> None:
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
    expected = {site: {choice: value / 2 for choice, value in values.items()} for site, values in PRIOR.items()}
    assert measured.damages(PRIOR) == expected


def test_the_time_is_kept_and_what_is_missing_interpolated(file: TableFile) -> None:
    formula = Formula()
    measured = table(formula, file)
    plan = measured.plan(5.0)
    assert str(plan) == "3 of 10 choices known, 2 to measure in 2 s, 5 interpolated (at most 2 s)"
    measured.measure(plan)
    assert formula.now == 5.0
    found = measured.damages(PRIOR)
    assert found[BITS.name] == {32: 0.0, 16: 0.05, 8: 0.1}
    # Known are 3/8 / 2 at width 40 and 7/8 / 2 at width 8. In front as the square: (1/3)² and (2/3)² of 3/16.
    assert [found[WIDE.name][width] for width in (64, 56, 48, 40, 8)] == pytest.approx(
        [0, 1 / 48, 1 / 12, 3 / 16, 7 / 16]
    )
    # Behind as a power of the prior, here the first: exactly half of it.
    assert [found[WIDE.name][width] for width in (32, 24, 16)] == pytest.approx([4 / 16, 5 / 16, 6 / 16])


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
    assert measured.damages(PRIOR) == {}


def test_a_later_table_goes_on_where_an_earlier_one_stopped(file: TableFile) -> None:
    first = table(Formula(), file)
    first.measure(first.plan(6.0))
    formula = Formula()
    second = table(formula, file)
    second.measure(second.plan(100.0))
    assert len(formula.asked) == N_CHOICES - 6
    assert second.damages(PRIOR)[WIDE.name][56] == pytest.approx(1 / 16)
    third = Formula()
    assert table(third, file).plan(100.0) == SensitivityPlan(N_CHOICES, N_CHOICES, 0.0, 100.0)
    assert third.asked == []


def test_what_could_not_be_measured_counts_as_the_worst_and_says_why(file: TableFile) -> None:
    formula = Formula({FOLD.name: {"on": "values are too large"}, BITS.name: {8: float("nan"), 16: 7.0}})
    measured = table(formula, file)
    measured.measure(measured.plan(100.0))
    found = measured.damages(PRIOR)
    assert (found[FOLD.name]["on"], found[BITS.name][8], found[BITS.name][16]) == (1.0, 1.0, 1.0)
    reasons = {(FOLD.name, "on"): "values are too large", (BITS.name, 8): "the outputs are no numbers"}
    assert measured.failures == reasons
    assert table(Formula(), file).failures == reasons


def test_choices_that_are_no_longer_offered_are_left_out(file: TableFile) -> None:
    file.add({"of": "prune/a=4", "divergence": 0.5})
    assert table(Formula(), file).plan(0.0).n_known == 0


def test_between_two_known_choices_the_prior_gives_the_course() -> None:
    # 0.01 at a prior of 0.25 and 0.16 at 1: the square, so 0.04 at 0.5.
    site = Site("rank/a", ("a",), ("full", "svd:32", "svd:16", "svd:8"))
    prior: dict[Choice, float] = {"full": 0.0, "svd:32": 0.25, "svd:16": 0.5, "svd:8": 1.0}
    found = interpolated(site, {"svd:32": 0.01, "svd:8": 0.16}, prior)
    assert found == pytest.approx({"full": 0.0, "svd:32": 0.01, "svd:16": 0.04, "svd:8": 0.16})


@pytest.mark.parametrize("middle", [0.0, 5.0, 0.5])
def test_an_interpolated_value_never_leaves_the_range_beside_it(middle: float) -> None:
    site = Site("rank/a", ("a",), ("full", "x", "y", "z"))
    prior: dict[Choice, float] = {"full": 0.0, "x": 0.4, "y": middle, "z": 0.6}
    assert 0.1 <= interpolated(site, {"x": 0.1, "z": 0.3}, prior)["y"] <= 0.3
    assert interpolated(site, {"x": 0.0, "z": 0.0}, prior)["y"] == 0.0
    assert interpolated(site, {"x": 0.2}, prior)["z"] == 0.2  # behind the last one nothing is known
