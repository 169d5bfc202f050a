import pytest
import torch
from torch import Tensor, nn

from parefront.spaces.rank_scheme import Source
from parefront.spaces.tucker import VBMF_NOTE, Tucker


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def convolution(weight: Tensor) -> Source:
    out, inner, *kernel = weight.shape
    conv = nn.Conv2d(inner, out, tuple(kernel), bias=False, dtype=weight.dtype)
    with torch.no_grad():
        conv.weight.copy_(weight)
    return Source(conv)


def of_ranks(inner: int, outer: int, *, n_in: int = 32, n_out: int = 40) -> Tensor:
    """A 3 x 3 weight of those multilinear ranks."""
    core = random(outer, inner, 3, 3)
    return torch.einsum("oa,abhw,ib->oihw", random(n_out, outer, seed=1), core, random(n_in, inner, seed=2))


def restored(source: Source, ranks: tuple[int, int]) -> Tensor:
    first, core, last = Tucker().factors(source, ranks)
    return torch.einsum("oa,abhw,bi->oihw", last, core, first)


def test_a_weight_of_low_ranks_is_exact_at_those() -> None:
    source = convolution(of_ranks(5, 7))
    torch.testing.assert_close(restored(source, (5, 7)), source.weight.detach(), rtol=1e-9, atol=1e-9)
    assert Tucker().lost_energy(source, (5, 7)) == pytest.approx(0, abs=1e-12)
    assert Tucker().lost_energy(source, (4, 7)) > 1e-3
    assert Tucker().lost_energy(source, (5, 6)) > 1e-3


def test_the_lost_energy_is_the_squared_error() -> None:
    source = convolution(random(12, 10, 3, 3))
    weight = source.weight.detach()
    error = (restored(source, (4, 6)) - weight).square().sum() / weight.square().sum()
    assert Tucker().lost_energy(source, (4, 6)) == pytest.approx(float(error))


def test_an_offer_estimates_what_is_lost() -> None:
    # The directions of noise are independent, so that the shares kept in the two modes multiply.
    source = convolution(random(64, 48, 3, 3))
    offers = Tucker().offers(source, 8)
    assert len(offers) == 4
    for offer in offers:
        assert offer.lost_energy == pytest.approx(Tucker().lost_energy(source, offer.ranks), abs=0.03)


def test_the_ranks_behind_the_noise_are_marked() -> None:
    source = convolution(of_ranks(8, 16) + 0.1 * random(40, 32, 3, 3, seed=3))
    marked = [offer.ranks for offer in Tucker().offers(source, 8) if offer.note == VBMF_NOTE]
    assert marked == [(8, 16)]
    # On a coarser grid the nearest ranks.
    assert [offer.ranks for offer in Tucker().offers(source, 16) if offer.note] == [(16, 16)]


def test_noise_has_no_marked_ranks() -> None:
    assert [offer.note for offer in Tucker().offers(convolution(random(40, 32, 3, 3)), 8) if offer.note] == []


def test_a_kernel_of_one_pixel_is_not_for_tucker() -> None:
    assert not Tucker().fits(Source(nn.Conv2d(8, 8, 1)))
    assert not Tucker().fits(Source(nn.Linear(8, 8)))
    assert Tucker().fits(Source(nn.Conv1d(8, 8, 3)))


def test_no_rank_is_larger_than_the_channels_it_stands_for() -> None:
    assert Tucker().offers(convolution(random(48, 3, 3, 3)), grid=8) == []
