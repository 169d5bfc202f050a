import pytest
import torch

from parefront.hardware_profiles.errors import PackingError
from parefront.packing import TiedWeight

BASE = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])


def tied(*transforms: int, scale: torch.Tensor | None = None) -> TiedWeight:
    source = torch.zeros(len(transforms), dtype=torch.int16)
    return TiedWeight(BASE, source, torch.tensor(transforms, dtype=torch.uint8), scale)


def test_decodes_flips_and_signs() -> None:
    weight = tied(0, 1, 2, 3, 4, 7).decode()
    assert weight.flatten(1).tolist() == [
        [1, 2, 3, 4],
        [2, 1, 4, 3],
        [3, 4, 1, 2],
        [4, 3, 2, 1],
        [-1, -2, -3, -4],
        [-4, -3, -2, -1],
    ]


def test_a_scaled_weight_keeps_its_filters() -> None:
    assert tied(0, 1).scaled(torch.tensor([2.0, -1.0])).decode().flatten(1).tolist() == [[2, 4, 6, 8], [-2, -1, -4, -3]]


def test_refuses_what_cannot_be_decoded() -> None:
    with pytest.raises(PackingError, match=r"sources must be within 0\.\.0, got 0\.\.1"):
        TiedWeight(BASE, torch.tensor([0, 1], dtype=torch.int16), torch.zeros(2, dtype=torch.uint8))
    with pytest.raises(PackingError, match="transforms must be sums"):
        tied(8)
    with pytest.raises(PackingError, match="transforms must be sums"):
        TiedWeight(torch.ones(1, 3), torch.zeros(1, dtype=torch.int16), torch.ones(1, dtype=torch.uint8))
    with pytest.raises(PackingError, match="one per output channel"):
        tied(0, 1, scale=torch.ones(3))


def test_refitting_gives_the_base_that_is_nearest() -> None:
    ties = tied(0, 1, scale=torch.tensor([1.0, 2.0]))
    weight = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]], [[[0.0, 4.0], [0.0, 0.0]]]])
    # (1 * 1 + 2 * 4) / (1 + 4) in the corner that the second filter has mirrored.
    assert ties.refit(weight).base.flatten().tolist() == pytest.approx([1.8, 0, 0, 0])
    assert torch.equal(ties.refit(ties.decode()).base, BASE)
