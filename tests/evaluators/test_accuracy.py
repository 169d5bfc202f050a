import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from parefront.evaluators.accuracy import (
    accuracy_score,
    clustered_standard_error,
    drop_score,
    runtime_outputs,
    sample_scores,
)
from parefront.tasks import classification_hits
from parefront.training import Split


def array(*values: float) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


def textbook(values: NDArray[np.float64]) -> float:
    """Standard error of the mean: sqrt(sum of squared residuals / (n - 1) / n)."""
    n = len(values)
    mean = sum(values) / n
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1) / n)


def test_without_clusters_it_is_the_textbook_formula() -> None:
    values = array(1, 0, 1, 1, 0)
    # Mean .6, squared residuals 3 x .16 + 2 x .36 = 1.2: sqrt(1.2 / 4 / 5) = sqrt(.06).
    assert clustered_standard_error(values, None) == pytest.approx(math.sqrt(0.06))
    assert textbook(values) == pytest.approx(math.sqrt(0.06))


def test_clusters_of_one_are_no_clusters() -> None:
    values = np.random.default_rng(0).random(30)
    origins = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    assert clustered_standard_error(values, origins) == pytest.approx(textbook(values))


def test_copies_add_no_certainty() -> None:
    # Four originals, each shown three times with one and the same result: what is known is the mean of four.
    means = array(1, 0, 1, 1)
    origins = torch.tensor([10, 20, 30, 40])
    repeated = clustered_standard_error(np.tile(means, 3), origins.repeat(3))
    assert repeated == pytest.approx(textbook(means))
    assert repeated > 1.7 * clustered_standard_error(np.tile(means, 3), None)


def test_clusters_of_different_sizes_by_hand() -> None:
    # Values 1, 1, 0 | 0: mean .5; residual sums .5 and -.5; G / (G - 1) = 2: sqrt(2 (.25 + .25)) / 4 = .25.
    assert clustered_standard_error(array(1, 1, 0, 0), torch.tensor([0, 0, 0, 1])) == pytest.approx(0.25)


def test_the_order_of_the_samples_does_not_matter() -> None:
    values, origins = np.random.default_rng(0).random(40), torch.arange(40) // 4
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    shuffled = clustered_standard_error(values[order.numpy()], origins[order])
    assert shuffled == pytest.approx(clustered_standard_error(values, origins))


def test_the_accuracy_has_a_95_percent_interval() -> None:
    score = accuracy_score("accuracy", array(1, 0, 1, 1, 0), None)
    assert (score.name, score.unit, score.is_higher_better) == ("accuracy", "%", True)
    assert score.value == pytest.approx(60.0)
    assert score.low == pytest.approx(60 - 196 * math.sqrt(0.06), rel=1e-4)
    assert score.high == pytest.approx(60 + 196 * math.sqrt(0.06), rel=1e-4)


def test_the_drop_is_paired() -> None:
    baseline, samples = array(1, 1, 1, 0, 1, 0, 1, 1), array(1, 1, 0, 0, 1, 1, 0, 1)
    # Differences 0, 0, 1, 0, 0, -1, 1, 0: mean 1/8, squares sum to 3 - 8/64 = 2.875: sqrt(2.875 / 7 / 8).
    score = drop_score("accuracy_drop", samples, baseline, None)
    assert (score.unit, score.is_higher_better) == ("pt", False)
    assert score.value == pytest.approx(12.5)
    assert score.high == pytest.approx(12.5 + 196 * math.sqrt(2.875 / 56), rel=1e-4)
    # Two networks that fail on the same samples differ in nothing, for certain.
    same = drop_score("accuracy_drop", baseline, baseline, None)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


class Doubling:
    """A runtime's session that doubles its inputs."""

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        return inputs * 2


def test_outputs_and_scores_come_in_the_order_of_the_split() -> None:
    inputs = torch.randn(150, 3, generator=torch.Generator().manual_seed(0))  # more than two batches
    split = Split(inputs, inputs.argmax(1).where(torch.arange(150) % 3 > 0, torch.tensor(-1)))
    outputs = runtime_outputs(Doubling(), split)  # type: ignore[arg-type]
    assert torch.equal(outputs, inputs * 2)
    expected = [float(i % 3 > 0) for i in range(150)]
    assert sample_scores(outputs, split, classification_hits).tolist() == expected
