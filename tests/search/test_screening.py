from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from parefront.search.screening import PREDICTED, Agreement, agreement, rank_correlation, screening_accuracy
from parefront.search.trial import Fidelity, Trial
from parefront.spaces import Choice

MakeTrial = Callable[..., Trial]
Predicted = Callable[[int, float, float, Mapping[str, Choice]], Trial]


@pytest.fixture
def predicted(make_trial: MakeTrial) -> Predicted:
    """A trial with a prediction and a measurement."""

    def make(number: int, said: float, found: float, choices: Mapping[str, Choice]) -> Trial:
        return replace(make_trial(number, choices, drop=1.0, latency_ms=found), details={PREDICTED: said})

    return make


def check(found: Agreement, n_candidates: int, mean_error: float, rank: float | None) -> None:
    assert found.n_candidates == n_candidates
    assert found.mean_error == pytest.approx(mean_error)
    assert found.rank_correlation == (None if rank is None else pytest.approx(rank))


def test_the_error_is_relative_to_what_was_measured() -> None:
    # |1.1 - 1|, |1.8 / 2 - 1|, |3 / 3 - 1|
    check(agreement([1.1, 1.8, 3.0], [1.0, 2.0, 3.0]), 3, 0.2 / 3, 1.0)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 25.0, 90.0], 1.0),
        ([1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0], -1.0),
        # 1 - 6 Σ d² / (n (n² - 1)) with d = 0, 1, 1, 0: 1 - 12 / 60
        ([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0], 0.8),
        # Ties share a rank, 2.5: covariance 4.5 over the root of 5 * 4.5.
        ([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 2.0, 4.0], 4.5 / (5 * 4.5) ** 0.5),
    ],
)
def test_the_rank_correlation_is_spearman_s(first: list[float], second: list[float], expected: float) -> None:
    assert rank_correlation(first, second) == pytest.approx(expected)


@pytest.mark.parametrize("values", [([1.0, 2.0], [1.0, 2.0]), ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0])])
def test_there_is_no_rank_correlation_of_too_few_or_of_equal_values(values: tuple[list[float], list[float]]) -> None:
    assert rank_correlation(*values) is None


def test_without_predictions_there_is_nothing_to_report(make_trial: MakeTrial) -> None:
    assert screening_accuracy([]) is None
    assert screening_accuracy([make_trial(0, {}, drop=0.0), make_trial(1, {"bits/a": 8})]) is None


def test_the_first_thirty_do_not_count(predicted: Predicted, make_trial: MakeTrial) -> None:
    trials = [make_trial(0, {}, drop=0.0)]
    # 30 that are 50 % off, then 5 that are 10 % off, in the right order.
    trials += [predicted(number, 1.5, 1.0, {"prune/a": 8}) for number in range(1, 31)]
    trials += [predicted(number, 1.1 * number, number, {"prune/a": 16}) for number in range(31, 36)]
    found = screening_accuracy(trials)
    assert found is not None
    assert found.after_learning is not None
    check(found.after_learning, 5, 0.1, 1.0)
    assert found.reported is found.after_learning
    # The last 30 hold 25 of the early ones.
    assert found.last.n_candidates == 30
    assert found.last.mean_error == pytest.approx((25 * 0.5 + 5 * 0.1) / 30)
    assert found.to_json()["after_learning"]["n_candidates"] == 5


def test_before_there_are_thirty_all_count(predicted: Predicted) -> None:
    found = screening_accuracy([predicted(1, 1.2, 1.0, {}), predicted(2, 2.0, 2.0, {})])
    assert found is not None
    assert found.after_learning is None
    check(found.reported, 2, 0.1, None)


def test_each_precision_class_has_its_own_error(predicted: Predicted) -> None:
    trials = [predicted(1, 1.2, 1.0, {"bits/a": 8}), predicted(2, 2.0, 2.0, {}), predicted(3, 2.2, 2.0, {})]
    found = screening_accuracy(trials)
    assert found is not None
    assert {name: each.mean_error for name, each in found.by_class.items()} == pytest.approx(
        {"fp32": 0.05, "int8": 0.2}
    )


def test_final_members_and_failed_trials_do_not_count(predicted: Predicted, make_trial: MakeTrial) -> None:
    final = replace(predicted(1, 9.0, 1.0, {}), fidelity=Fidelity.FULL)
    failed = replace(make_trial(2, {"bits/a": 8}), details={PREDICTED: 1.0})
    assert screening_accuracy([final, failed]) is None
