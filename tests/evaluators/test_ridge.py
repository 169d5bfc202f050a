import numpy as np
import pytest

from parefront.evaluators.ridge import Ridge


def test_one_coefficient_by_hand() -> None:
    ridge = Ridge([2.0])
    assert ridge.coefficients() == pytest.approx([0.0])
    assert ridge.coefficients(5.0) == pytest.approx([5.0])
    ridge.add(np.array([1.0]), 3.0)
    ridge.add(np.array([2.0]), 4.0, weight=0.5)
    # (1 * 3 + 0.5 * 2 * 4) / (1 + 0.5 * 4 + 2) = 7 / 5; drawn to 5: (7 + 2 * 5) / 5
    assert ridge.coefficients() == pytest.approx([1.4])
    assert ridge.coefficients(5.0) == pytest.approx([3.4])


def test_a_linear_law_is_recovered() -> None:
    truth, ridge = np.array([3.0, -2.0, 0.5]), Ridge([1e-12] * 3)
    rows = np.random.default_rng(0).normal(size=(20, 3))
    for row in rows:
        ridge.add(row, float(row @ truth))
    assert ridge.coefficients() == pytest.approx(truth, abs=1e-9)


def test_it_is_the_minimum_of_what_it_minimises() -> None:
    rng = np.random.default_rng(1)
    rows, targets, penalties = rng.normal(size=(8, 2)), rng.normal(size=8), [0.5, 2.0]
    ridge = Ridge(penalties)
    for row, target in zip(rows, targets, strict=True):
        ridge.add(row, float(target))
    found = ridge.coefficients(np.array([1.0, -1.0]))
    # There the gradient is zero: rows' (rows w - targets) + penalties (w - expected).
    gradient = rows.T @ (rows @ found - targets) + np.array(penalties) * (found - np.array([1.0, -1.0]))
    assert gradient == pytest.approx(np.zeros(2), abs=1e-12)
