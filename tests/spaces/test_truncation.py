import pytest
import torch
from torch import Tensor

from parefront.spaces.truncation import (
    GRAM_BLOCK,
    leading_directions,
    output_energy,
    singular_energy,
    truncate,
    truncate_for_inputs,
)

SHAPES = [(6, 9), (9, 6), (7, 7)]


def random_matrix(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def matrix_with(values: list[float], rows: int, columns: int) -> Tensor:
    """A matrix of those singular values between random directions."""
    left, _ = torch.linalg.qr(random_matrix(rows, len(values)))
    right, _ = torch.linalg.qr(random_matrix(columns, len(values), seed=1))
    return left @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ right.T


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_the_energy_is_that_of_the_singular_values(rows: int, columns: int) -> None:
    energy = singular_energy(matrix_with([5.0, 4.0, 2.0], rows, columns))
    assert energy.tolist() == pytest.approx([25, 16, 4] + [0] * (min(rows, columns) - 3), abs=1e-12)


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_a_truncation_loses_the_energy_of_the_dropped_singular_values(rows: int, columns: int) -> None:
    # Eckart and Young 1936.
    matrix = matrix_with([5.0, 4.0, 2.0, 1.0], rows, columns)
    left, right = truncate(matrix, 2)
    assert (left.shape, right.shape) == ((rows, 2), (2, columns))
    assert float((left @ right - matrix).square().sum()) == pytest.approx(2.0**2 + 1.0**2)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_a_full_rank_is_exact(rows: int, columns: int, dtype: torch.dtype, tolerance: float) -> None:
    matrix = random_matrix(rows, columns).to(dtype)
    left, right = truncate(matrix, min(rows, columns))
    assert left.dtype == dtype
    assert (left @ right - matrix).abs().max() <= tolerance * matrix.abs().max()


def test_half_precision_is_computed_in_single() -> None:
    matrix = random_matrix(6, 9).to(torch.bfloat16)
    left, right = truncate(matrix, 6)
    torch.testing.assert_close(left @ right, matrix.float(), rtol=1e-5, atol=1e-5)
    assert singular_energy(matrix).sum() == pytest.approx(float(matrix.float().square().sum()), rel=1e-5)


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_the_components_have_equal_norms_on_both_sides(rows: int, columns: int) -> None:
    left, right = truncate(random_matrix(rows, columns), 4)
    torch.testing.assert_close(left.norm(dim=0), right.norm(dim=1))


def test_a_smaller_rank_is_the_beginning_of_a_larger_one() -> None:
    matrix = random_matrix(6, 9)
    (left, right), (small_left, small_right) = truncate(matrix, 5), truncate(matrix, 2)
    torch.testing.assert_close(left[:, :2], small_left)
    torch.testing.assert_close(right[:2], small_right)


def test_a_matrix_of_zeros_stays_finite() -> None:
    left, right = truncate(torch.zeros(4, 5), 2)
    assert left.isfinite().all()
    assert right.isfinite().all()
    assert (left @ right == 0).all()


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_for_inputs_the_error_of_the_outputs_is_the_lost_energy(rows: int, columns: int) -> None:
    weight = random_matrix(rows, columns)
    # Inputs along some directions are ten times as large as along others.
    samples = random_matrix(500, columns, seed=2) * torch.logspace(-0.5, 0.5, columns, dtype=torch.float64)
    samples = samples @ random_matrix(columns, columns, seed=3)
    moment = samples.T @ samples / len(samples)
    energy = output_energy(weight, moment)
    assert float(energy.sum()) == pytest.approx(float((samples @ weight.T).square().sum(1).mean()), rel=1e-4)
    for rank in (1, 3, 5):
        left, right = truncate_for_inputs(weight, moment, rank)
        error = (samples @ (left @ right - weight).T).square().sum(1).mean()
        assert float(error) == pytest.approx(float(energy[rank:].sum()), rel=1e-3)
        plain_left, plain_right = truncate(weight, rank)
        assert error < (samples @ (plain_left @ plain_right - weight).T).square().sum(1).mean()


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_inputs_that_are_never_seen_do_not_break_it(rows: int, columns: int) -> None:
    weight = random_matrix(rows, columns)
    moment = torch.diag(torch.tensor([1.0, 4.0] + [0.0] * (columns - 2), dtype=torch.float64))
    left, right = truncate_for_inputs(weight, moment, 2)
    product = left @ right
    # Rank 2 is enough for the two inputs there are.
    torch.testing.assert_close(product[:, :2], weight[:, :2], rtol=1e-4, atol=1e-4)
    left, right = truncate_for_inputs(weight, moment, min(rows, columns))
    torch.testing.assert_close(left @ right, weight)


def test_the_leading_directions_hold_the_energy_in_order() -> None:
    matrix = matrix_with([5.0, 4.0, 2.0], 6, 9)
    directions = leading_directions(matrix)
    torch.testing.assert_close(directions.T @ directions, torch.eye(6, dtype=torch.float64))
    assert (directions.T @ matrix).norm(dim=1).tolist() == pytest.approx([5, 4, 2, 0, 0, 0], abs=1e-6)


def test_more_rows_than_a_block_make_no_difference() -> None:
    matrix = matrix_with([5.0, 4.0, 2.0], GRAM_BLOCK + 40, GRAM_BLOCK + 60)
    assert singular_energy(matrix)[:4].tolist() == pytest.approx([25, 16, 4, 0], abs=1e-9)
    left, right = truncate(matrix, 3)
    torch.testing.assert_close(left @ right, matrix)
