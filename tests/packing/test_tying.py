import pytest
import torch
from torch import Tensor

from parefront.hardware_profiles.errors import PackingError
from parefront.packing.tied_weight import N_TRANSFORMS, transformed
from parefront.packing.tying import tie_filters


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def error(weight: Tensor, n_per_base: int) -> float:
    """Relative squared error."""
    return float((tie_filters(weight, n_per_base).decode() - weight).square().sum() / weight.square().sum())


def test_filters_that_are_flips_of_a_few_are_found() -> None:
    base = random(3, 5, 3, 3)
    made = [(1 + 0.1 * i) * transformed(base[i % 3], i % N_TRANSFORMS) for i in range(24)]
    weight = torch.stack(made)
    tied = tie_filters(weight, 8)
    assert tied.base.shape == (3, 5, 3, 3)
    torch.testing.assert_close(tied.decode(), weight, rtol=1e-5, atol=1e-5)
    assert tied.scale is not None
    assert bool((tied.scale > 0).all())


def test_one_base_is_the_leading_singular_vector() -> None:
    # Without flips, the best approximation of rank 1 (Eckart and Young): all but the largest singular value is lost.
    weight = random(12, 7)
    energy = torch.linalg.svdvals(weight).square()
    assert error(weight, 12) == pytest.approx(float(energy[1:].sum() / energy.sum()), rel=1e-4)


def test_every_filter_is_at_its_nearest_base() -> None:
    weight = random(30, 1, 3, 3)
    tied = tie_filters(weight, 3)
    assert len(tied.base) == 10
    units = torch.stack([transformed(tied.base, t) for t in range(N_TRANSFORMS)]).flatten(2)  # each of length 1
    projections = torch.einsum("tbk,ok->otb", units, weight.flatten(1)).amax((1, 2))
    missed = weight.flatten(1).square().sum(1) - projections.square()
    found = (tied.decode() - weight).flatten(1).square().sum(1)
    torch.testing.assert_close(found, missed, rtol=1e-3, atol=1e-4)


def test_fewer_bases_lose_more_and_one_for_each_filter_nothing() -> None:
    weight = random(48, 2, 3, 3)
    assert error(weight, 1) < 1e-12
    errors = [error(weight, n) for n in (1, 2, 4, 8)]
    assert errors == sorted(errors)
    # Two unrelated filters on one line lose the lesser of them: half of the energy at most.
    assert errors[1] < 0.5


def test_the_same_twice_is_the_same() -> None:
    first, second = (tie_filters(random(20, 4, 3, 3), 4) for _ in range(2))
    assert torch.equal(first.decode(), second.decode())
    assert torch.equal(first.source, second.source)


def test_filters_of_zeros_stay_zero() -> None:
    weight = random(8, 3, 3, 3)
    weight[::2] = 0
    decoded = tie_filters(weight, 2).decode()
    torch.testing.assert_close(decoded, weight, rtol=1e-5, atol=1e-6)
    assert not tie_filters(torch.zeros(4, 2, 3, 3), 2).decode().any()


@pytest.mark.parametrize(
    ("weight", "n_per_base", "message"),
    [
        (random(8, 3, 3, 3), 0, "at least 1, got 0"),
        (random(8), 2, r"finite numbers of shape \(out, in, ...\), got shape \(8,\)"),
        (torch.zeros(0, 3), 2, "finite numbers"),
        (random(4, 3) / 0, 2, "finite numbers"),
        (torch.zeros(1, 1).expand(40_000, 1), 1, "there can be 32767 base filters, got 40000"),
    ],
)
def test_what_cannot_be_tied_is_refused(weight: Tensor, n_per_base: int, message: str) -> None:
    with pytest.raises(PackingError, match=message):
        tie_filters(weight, n_per_base)
