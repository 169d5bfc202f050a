import pytest
import torch
from torch import Tensor

from parefront.hardware_profiles.errors import PackingError
from parefront.packing import pack, unpack
from parefront.packing.circulant_weight import CirculantWeight, circulant_blocks, nearest_circulant


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_every_row_of_a_block_is_the_one_above_it_shifted() -> None:
    rows = torch.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]])
    circulant = CirculantWeight(rows)
    assert circulant.shape == (3, 6)
    assert circulant.decode().tolist() == [[1, 2, 3, 4, 5, 6], [3, 1, 2, 6, 4, 5], [2, 3, 1, 5, 6, 4]]
    scaled = circulant.scaled(torch.tensor([1.0, -1.0, 2.0]))
    assert scaled.decode().tolist() == [[1, 2, 3, 4, 5, 6], [-3, -1, -2, -6, -4, -5], [4, 6, 2, 10, 12, 8]]


def test_a_product_with_a_block_is_a_circular_correlation() -> None:
    first, inputs = random(8), random(8, seed=1)
    expected = torch.fft.irfft(torch.fft.rfft(first).conj() * torch.fft.rfft(inputs))
    product = CirculantWeight(first.reshape(1, 1, 8)).decode() @ inputs
    torch.testing.assert_close(product, expected, rtol=1e-4, atol=1e-5)


def test_the_sides_that_a_weight_allows() -> None:
    assert circulant_blocks(torch.Size((24, 16))) == (2, 4, 8)
    assert circulant_blocks(torch.Size((24, 15))) == ()


@pytest.mark.parametrize("is_known", [False, True])
def test_circulant_blocks_are_found_again(is_known: bool) -> None:
    weight = CirculantWeight(random(2, 3, 4)).decode()
    samples = random(50, 12, seed=1)
    moment = samples.T @ samples if is_known else None
    torch.testing.assert_close(nearest_circulant(weight, 4, moment).decode(), weight, rtol=1e-4, atol=1e-4)


def test_without_knowing_the_inputs_it_is_the_mean_of_each_diagonal() -> None:
    weight = torch.tensor([[1.0, 2.0], [4.0, 5.0]])
    assert nearest_circulant(weight, 2).rows.flatten().tolist() == pytest.approx([3.0, 3.0], rel=1e-5)


def test_the_outputs_are_as_near_as_circulant_blocks_allow() -> None:
    weight, samples = random(8, 12), random(60, 12, seed=1) @ random(12, 12, seed=2)
    moment = (samples.T @ samples / 60).double()
    found = nearest_circulant(weight, 4, moment)

    def error(circulant: CirculantWeight) -> Tensor:
        missed = (weight - circulant.decode()).double()
        return ((missed @ moment) * missed).sum()

    least = error(found)
    assert least < 0.9 * error(nearest_circulant(weight, 4))
    for seed in range(5):  # a minimum, in every direction
        step = 1e-2 * random(2, 3, 4, seed=seed)
        assert error(CirculantWeight(found.rows + step)) > least
        assert error(CirculantWeight(found.rows - step)) > least


@pytest.mark.parametrize(
    ("shape", "block", "message"),
    [
        ((24, 16), 3, r"one of 2, 4, 8, got 3"),
        ((24, 16), 16, r"one of 2, 4, 8, got 16"),
        ((5, 16), 2, "one of none, got 2"),
        ((4, 4, 3, 3), 2, "one of none, got 2"),
    ],
)
def test_what_cannot_be_cut_into_blocks_is_refused(shape: tuple[int, ...], block: int, message: str) -> None:
    with pytest.raises(PackingError, match=message):
        nearest_circulant(torch.ones(shape), block)


def test_refuses_what_cannot_be_decoded() -> None:
    with pytest.raises(PackingError, match=r"must be float32 of shape \(out / b, in / b, b\)"):
        CirculantWeight(torch.ones(2, 3))
    with pytest.raises(PackingError, match="4 finite float32 numbers"):
        CirculantWeight(torch.ones(2, 3, 2), torch.ones(3))


def test_refitting_gives_the_mean_of_each_shifted_diagonal() -> None:
    circulant = CirculantWeight(torch.tensor([[[1.0, 2.0]]]))
    assert circulant.refit(torch.tensor([[1.0, 2.0], [4.0, 3.0]])).rows.flatten().tolist() == [2.0, 3.0]
    scaled = CirculantWeight(torch.tensor([[[1.0, 2.0]]]), torch.tensor([1.0, 3.0]))
    assert torch.allclose(scaled.refit(scaled.decode()).rows, scaled.rows)


def test_a_file_holds_the_first_rows() -> None:
    circulant = CirculantWeight(torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)), torch.ones(8))
    found = unpack(pack({"weight": circulant}, {})).tensors["weight"]
    assert isinstance(found, CirculantWeight)
    assert torch.equal(found.rows, circulant.rows)
    assert found.scale is not None
