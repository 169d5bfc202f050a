import pytest
import torch

from parefront.hardware_profiles.errors import SpaceError
from parefront.spaces.quantized_weight import QuantizedWeight, levels


@pytest.mark.parametrize(("bits", "expected"), [(8, (-127, 127)), (4, (-8, 7)), (2, (-2, 1)), (1, (-1, 1))])
def test_levels_by_width(bits: int, expected: tuple[int, int]) -> None:
    assert levels(bits) == expected


def test_other_widths_are_refused() -> None:
    with pytest.raises(SpaceError, match="bits of a weight must be one of 8, 4, 2, 1, got 3: use one"):
        levels(3)


def test_the_nearest_codes_are_taken_and_clipped() -> None:
    weight, scale = torch.tensor([[0.26, -0.9, 5.0], [-3.0, 0.9, 0.0]]), torch.tensor([0.5, 1.0])
    stored = QuantizedWeight.rounded(weight, scale, 2)
    # Row 1: 0.52, -1.8, 10 steps; row 2: -3, 0.9, 0 steps; between -2 and 1.
    assert stored.codes.tolist() == [[1, -2, 1], [-2, 1, 0]]
    assert stored.decode().tolist() == [[0.5, -1.0, 0.5], [-2.0, 1.0, 0.0]]


def test_one_bit_is_the_sign() -> None:
    stored = QuantizedWeight.rounded(torch.tensor([[0.0, -0.1, 7.0]]), torch.tensor([0.25]), 1)
    assert stored.codes.tolist() == [[1, -1, 1]]
    assert stored.decode().tolist() == [[0.25, -0.25, 0.25]]


@pytest.mark.parametrize("bits", [8, 4, 2, 1])
def test_what_is_decoded_has_the_same_codes(bits: int) -> None:
    weight = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(bits))
    stored = QuantizedWeight.rounded(weight, weight.abs().amax((1, 2, 3)) / 8, bits)
    again = QuantizedWeight.rounded(stored.decode(), stored.scale, bits)
    assert torch.equal(again.codes, stored.codes)
    assert torch.equal(again.decode(), stored.decode())


def test_a_factor_per_channel_goes_to_the_scales() -> None:
    stored = QuantizedWeight(torch.tensor([[1, -2], [1, 0]], dtype=torch.int8), torch.tensor([1.0, 2.0]), 2)
    scaled = stored.scaled(torch.tensor([-2.0, 0.5]))
    assert torch.equal(scaled.codes, stored.codes)
    assert scaled.decode().tolist() == [[-2.0, 4.0], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("codes", "scale", "bits", "message"),
    [
        ([[2]], [1.0], 2, r"codes of 2 bits must be within -2..1, got 2..2: clamp them"),
        ([[-128]], [1.0], 8, r"codes of 8 bits must be within -127..127, got -128..-128: clamp them"),
        ([[0, 1]], [1.0], 1, r"codes of 1 bits must be -1 or 1, got 0..1: clamp them"),
        ([[1]], [1.0, 1.0], 2, r"one scale per output channel \(1\), got shape \(2,\): give as many"),
        ([[1]], [float("nan")], 2, "every scale must be finite, but some are not: check the weight"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    codes: list[list[int]], scale: list[float], bits: int, message: str
) -> None:
    with pytest.raises(SpaceError, match=message):
        QuantizedWeight(torch.tensor(codes, dtype=torch.int8), torch.tensor(scale), bits)


def test_other_types_are_refused() -> None:
    with pytest.raises(SpaceError, match=r"codes must be int8 and scales float32, got torch.int64 and torch.float32"):
        QuantizedWeight(torch.tensor([[1]]), torch.tensor([1.0]), 2)
