import pytest
import torch
from torch import Tensor

from parefront.hardware_profiles.errors import PackingError
from parefront.packing import compression_rate, fitted_levels, share_weights, sharing_starts


def weight(is_pruned: bool = False) -> Tensor:
    values = torch.randn(8, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    return torch.where(values.abs() < 0.6, 0.0, values) if is_pruned else values


@pytest.mark.parametrize("start", sharing_starts())
@pytest.mark.parametrize("is_pruned", [False, True])
@pytest.mark.parametrize("bits", [1, 3, 8])
def test_shared_weights_are_few_and_shared_again_the_same(start: str, is_pruned: bool, bits: int) -> None:
    coded = share_weights(weight(is_pruned), bits, start=start)
    assert len(coded.codebook) <= 2**bits
    assert coded.indices.unique().tolist() == list(range(len(coded.codebook)))
    shared = coded.decode()
    assert torch.equal(shared == 0, weight(is_pruned) == 0)
    for again in sharing_starts():
        assert torch.equal(share_weights(shared, bits, start=again).decode(), shared)


def test_every_weight_becomes_the_mean_of_its_cluster() -> None:
    values = torch.tensor([[0.0, 1.0, 2.0], [10.0, 12.0, 0.0]])
    for start in ("optimal", "linear", "density"):
        assert share_weights(values + 1, 1, start=start).decode().tolist() == [[1.75, 1.75, 1.75], [12, 12, 1.75]]
    # Three entries beside the zero.
    assert share_weights(values, 2).decode().tolist() == [[0, 1.5, 1.5], [10, 12, 0]]


def test_gaussian_takes_the_levels_of_the_fit_without_a_step() -> None:
    values = torch.tensor([-3.0, -1.0, 1.0, 3.0]).reshape(4, 1)
    coded = share_weights(values, 1, start="gaussian")
    assert torch.equal(coded.codebook, fitted_levels(0.0, 5**0.5, 2).float())
    assert coded.indices.flatten().tolist() == [0, 0, 1, 1]


def test_no_start_has_less_error_than_the_optimum() -> None:
    errors = {start: (share_weights(weight(), 4, start=start).decode() - weight()).norm() for start in sharing_starts()}
    assert min(errors, key=lambda start: errors[start]) == "optimal"


def test_removed_weights_need_one_zero_only() -> None:
    coded = share_weights(torch.tensor([[-1.0, 0.0, 1.0]]), 1)
    assert coded.codebook.tolist() == [0.0]
    assert coded.decode().tolist() == [[0.0, 0.0, 0.0]]
    assert share_weights(torch.zeros(2, 2), 4).decode().tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_with_a_scale_the_weights_of_all_channels_share() -> None:
    values = torch.tensor([[1.0, 2.0, 0.0], [-4.0, 8.0, 4.0], [0.0, 0.0, 0.0]])
    scale = torch.tensor([1.0, 4.0, 0.0])
    coded = share_weights(values, 2, scale=scale)
    assert coded.codebook.tolist() == [-1.0, 0.0, 1.0, 2.0]
    assert torch.equal(coded.decode(), values)
    assert coded.scale is scale


def test_the_rate_of_the_paper() -> None:
    assert compression_rate(16, 32, 4) == 3.2


def test_refuses_what_cannot_be_shared() -> None:
    with pytest.raises(PackingError, match="1 to 8 bits, got 9"):
        share_weights(weight(), 9)
    with pytest.raises(PackingError, match="unknown start 'random'"):
        share_weights(weight(), 4, start="random")
    with pytest.raises(PackingError, match="values must be finite"):
        share_weights(weight() / 0, 4)
    with pytest.raises(PackingError, match="values must be finite"):
        share_weights(weight(), 4, scale=torch.zeros(8))
    with pytest.raises(PackingError, match="8 finite float32 numbers"):
        share_weights(weight(), 4, scale=torch.ones(3))
