import pytest
import torch
from torch import Tensor, nn

from parefront.spaces.cp import Cp
from parefront.spaces.rank_scheme import Source


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def of_rank(rank: int) -> Source:
    """A 3 x 3 convolution that is the sum of so many outer products."""
    conv = nn.Conv2d(5, 6, 3, bias=False, dtype=torch.float64)
    vectors = [random(size, rank, seed=seed) for seed, size in enumerate((6, 5, 3, 3))]
    with torch.no_grad():
        conv.weight.copy_(torch.einsum("or,ir,hr,wr->oihw", *vectors))
    return Source(conv)


@pytest.mark.parametrize("rank", [1, 2])
def test_a_weight_of_low_rank_is_found(rank: int) -> None:
    source = of_rank(rank)
    first, rows, columns, last = Cp().factors(source, (rank,))
    restored = torch.einsum("or,ri,rh,rw->oihw", last, first, rows, columns)
    assert (restored - source.weight.detach()).norm() <= 1e-3 * source.weight.detach().norm()
    assert Cp().lost_energy(source, (rank,)) <= 1e-6


def test_the_four_factors_of_a_component_are_of_one_size() -> None:
    first, rows, columns, last = Cp().factors(Source(nn.Conv2d(5, 6, 3)), (3,))
    sizes = torch.stack([first.norm(dim=1), rows.norm(dim=1), columns.norm(dim=1), last.norm(dim=0)])
    torch.testing.assert_close(sizes, sizes[:1].expand_as(sizes))


def test_the_same_weight_twice_gives_the_same_factors() -> None:
    first, second = of_rank(3), of_rank(3)
    for one, other in zip(Cp().factors(first, (2,)), Cp().factors(second, (2,)), strict=True):
        assert torch.equal(one, other)


def test_only_kernels_that_are_large_both_ways_are_for_cp() -> None:
    assert Cp().fits(Source(nn.Conv2d(8, 8, 3)))
    assert not Cp().fits(Source(nn.Conv2d(8, 8, (1, 3))))
    assert not Cp().fits(Source(nn.Conv1d(8, 8, 3)))
