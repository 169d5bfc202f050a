"""Values and gradients against the formulas, worked by hand."""

import pytest
import torch

from parefront.training.straight_through import binarise, round_through, sign_through, step_gradient_factor


def test_values_become_multiples_of_the_step_within_the_bounds() -> None:
    x = torch.tensor([0.3, -0.2, 0.9, -5.0, 5.0])
    # 0.6, -0.4, 1.8, -10 and 10 steps of 0.5.
    assert round_through(x, torch.tensor(0.5), -2, 1).tolist() == [0.5, 0.0, 0.5, -1.0, 0.5]


def test_the_gradient_passes_where_nothing_is_clipped() -> None:
    x = torch.tensor([0.3, -0.2, 0.9, -5.0, -1.0], requires_grad=True)
    (round_through(x, torch.tensor(0.5), -2, 1) * torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])).sum().backward()
    # In steps 0.6, -0.4, 1.8 (above 1), -10 (below -2), -2 (just within).
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 2.0, 0.0, 0.0, 16.0]


def test_the_gradient_to_the_step_is_that_of_lsq() -> None:
    x, step = torch.tensor([0.3, -0.2, 0.9, -5.0]), torch.tensor(0.5, requires_grad=True)
    (round_through(x, step, -2, 1, step_factor=0.1) * torch.tensor([1.0, 2.0, 4.0, 8.0])).sum().backward()
    # round(r) - r inside: 1 - 0.6 and 0 + 0.4; the bounds outside: 1 and -2.
    expected = 0.1 * (1 * 0.4 + 2 * 0.4 + 4 * 1 + 8 * -2)
    assert step.grad is not None
    assert step.grad.item() == pytest.approx(expected, rel=1e-6)
    assert step.grad.shape == ()


def test_each_channel_has_the_gradient_of_its_own_step() -> None:
    x = torch.tensor([[0.25, 3.0], [0.25, -3.0]])
    step = torch.tensor([[1.0], [0.5]], requires_grad=True)
    round_through(x, step, -2, 1).sum().backward()
    # Channel 1: 0 - 0.25, and 1; channel 2: 0.5 steps round to the even 0, so 0 - 0.5, and -2.
    assert step.grad is not None
    assert step.grad.tolist() == [[0.75], [-2.5]]


def test_the_sign_of_zero_is_positive_and_large_values_get_no_gradient() -> None:
    x = torch.tensor([0.0, -0.5, 1.0, -1.5], requires_grad=True)
    signs = sign_through(x)
    assert signs.tolist() == [1.0, -1.0, 1.0, -1.0]
    (signs * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 2.0, 3.0, 0.0]


def test_a_binary_weight_has_the_mean_magnitude_of_its_channel() -> None:
    weight = torch.tensor([[[0.5, -1.5]], [[0.25, 0.75]]])
    assert binarise(weight).tolist() == [[[1.0, -1.0]], [[0.5, 0.5]]]


def test_the_gradient_of_a_binary_weight_passes_where_it_is_not_large() -> None:
    weight = torch.tensor([[0.5, -1.5], [0.25, 1.0]], requires_grad=True)
    (binarise(weight) * torch.tensor([[2.0, 3.0], [5.0, 7.0]])).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [[2.0, 0.0], [5.0, 7.0]]


def test_the_factor_of_the_steps_gradient() -> None:
    assert step_gradient_factor(n_values=9, n_levels=4) == pytest.approx(1 / 6)
    assert step_gradient_factor(n_values=4, n_levels=0) == pytest.approx(1 / 2)
