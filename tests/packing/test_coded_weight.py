import pytest
import torch

from parefront.hardware_profiles.errors import PackingError
from parefront.packing import CodedWeight

INDICES = torch.tensor([[0, 1], [2, 0]], dtype=torch.uint8)
CODEBOOK = torch.tensor([0.0, -1.5, 2.0])


def test_decodes_by_the_codebook_and_the_scale() -> None:
    coded = CodedWeight(INDICES, CODEBOOK, torch.tensor([2.0, -0.5]))
    assert coded.decode().tolist() == [[0.0, -3.0], [-1.0, -0.0]]
    assert coded.shape == (2, 2)


def test_a_scaled_weight_keeps_its_indices() -> None:
    scaled = CodedWeight(INDICES, CODEBOOK).scaled(torch.tensor([1.0, 3.0]))
    assert scaled.indices is INDICES
    assert scaled.decode().tolist() == [[0.0, -1.5], [6.0, 0.0]]


@pytest.mark.parametrize(
    ("indices", "codebook", "scale", "message"),
    [
        (INDICES.long(), CODEBOOK, None, "must be uint8"),
        (INDICES, CODEBOOK[:2], None, "below the codebook's length 2, got 2"),
        (INDICES, torch.zeros(257), None, "1 to 256"),
        (INDICES, CODEBOOK, torch.ones(3), "2 finite float32 numbers"),
        (INDICES, CODEBOOK / 0, None, "finite"),
    ],
)
def test_refuses_what_cannot_be_decoded(
    indices: torch.Tensor, codebook: torch.Tensor, scale: torch.Tensor | None, message: str
) -> None:
    with pytest.raises(PackingError, match=message):
        CodedWeight(indices, codebook, scale)
