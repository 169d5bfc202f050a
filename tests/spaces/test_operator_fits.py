import pytest
import torch
from torch import Tensor

from parefront.spaces.operator_fits import fit_operator, lost_share


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def metric_of(n: int, seed: int = 9) -> Tensor:
    """The second moment of patches that are far from white."""
    samples = random(4 * n, n, seed=seed) @ random(n, n, seed=seed + 1)
    return samples.T @ samples / len(samples)


def centre(matrix: Tensor) -> Tensor:
    weight = matrix.new_zeros(*matrix.shape, 3, 3)
    weight[:, :, 1, 1] = matrix
    return weight


def separable_weight(n_outputs: int, n_inputs: int) -> Tensor:
    return random(n_outputs, n_inputs)[:, :, None, None] * random(1, n_inputs, 3, 3, seed=1)


def fire_weight(n_first: int, n_second: int, n_inputs: int, squeezed: int) -> Tensor:
    """The first outputs read the middle of the patch, the others all of it, through the same few channels."""
    squeeze = random(squeezed, n_inputs)
    first = centre(random(n_first, squeezed, seed=1) @ squeeze)
    second = torch.einsum("nshw,sc->nchw", random(n_second, squeezed, 3, 3, seed=2), squeeze)
    return torch.cat([first, second])


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize(
    ("choice", "weight"),
    [
        ("pointwise", centre(random(7, 5))),
        ("separable", separable_weight(7, 5)),
        ("fire:2", fire_weight(4, 3, 5, 2)),
    ],
)
def test_what_an_operator_can_compute_it_computes(choice: str, weight: Tensor, is_known: bool) -> None:
    metric = metric_of(45) if is_known else None
    fit = fit_operator(weight, choice, metric)
    torch.testing.assert_close(fit.product, weight, rtol=0, atol=2e-4)
    assert lost_share(weight, fit, metric) < 1e-7


@pytest.mark.parametrize("choice", ["pointwise", "separable", "fire:2"])
def test_nothing_of_its_outputs_is_missed_that_its_last_layers_could_give(choice: str) -> None:
    """At the minimum the error is orthogonal, in the metric, to all that those layers read."""
    weight, metric = random(7, 5, 3, 3), metric_of(45)
    fit = fit_operator(weight, choice, metric)
    error = ((weight - fit.product).flatten(1) @ metric).reshape(7, 5, 9)
    if choice == "pointwise":
        left_over = error[:, :, 4]
    elif choice == "separable":  # the depthwise kernels are the last that were solved for
        left_over = torch.einsum("nck,nc->ck", error, fit.weights[1].reshape(7, 5))
    else:
        squeeze = fit.weights[0].reshape(2, 5)
        left_over = torch.cat([(error[:4, :, 4] @ squeeze.T).flatten(), (error[4:].mT @ squeeze.T).flatten()])
    assert float(left_over.abs().max()) < 1e-3 * float(error.abs().max())


@pytest.mark.parametrize("choice", ["pointwise", "separable", "fire:2"])
def test_less_is_lost_where_the_patches_are_known(choice: str) -> None:
    weight, metric = random(7, 5, 3, 3), metric_of(45)
    known, unknown = fit_operator(weight, choice, metric), fit_operator(weight, choice)
    assert lost_share(weight, known, metric) < lost_share(weight, unknown, metric)
    assert lost_share(weight, unknown) < lost_share(weight, known)


def test_the_share_of_the_energy_that_is_lost() -> None:
    # Without a metric 1 x 1 keeps the middle of the kernel: of weights 1 everywhere 1 in 9.
    weight = torch.ones(2, 3, 3, 3)
    assert lost_share(weight, fit_operator(weight, "pointwise")) == pytest.approx(8 / 9, rel=1e-5)
    # Where all of a patch is the same value, its middle tells everything.
    alike = torch.kron(torch.eye(3), torch.ones(9, 9)).double()
    fit = fit_operator(weight, "pointwise", alike)
    assert lost_share(weight, fit, alike) < 1e-9
    torch.testing.assert_close(fit.weights[0], torch.full((2, 3), 9.0, dtype=torch.float64), rtol=1e-4, atol=0)


def test_the_layers_of_a_separable_convolution_are_as_large() -> None:
    fit = fit_operator(random(7, 5, 3, 3) * 1e3, "separable", metric_of(45))
    kernels, mixing = fit.weights
    torch.testing.assert_close(kernels.flatten(1).norm(dim=1), mixing.flatten(1).norm(dim=0), rtol=1e-6, atol=0)


@pytest.mark.parametrize("choice", ["pointwise", "separable", "fire:2"])
def test_a_metric_that_rounding_made_negative_is_solved_with(choice: str) -> None:
    direction = random(45)  # all patches alike
    metric = torch.outer(direction, direction) - 1e-3 * torch.eye(45, dtype=torch.float64)
    weight = random(7, 5, 3, 3)
    fit = fit_operator(weight, choice, metric)
    assert all(bool(each.isfinite().all()) for each in fit.weights)
    # Along that direction next to nothing is missed.
    missed = (weight - fit.product).flatten(1) @ direction
    assert float(missed.norm()) < 0.1 * float((weight.flatten(1) @ direction).norm())
