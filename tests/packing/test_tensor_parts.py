import pytest
import torch

from parefront.hardware_profiles.errors import PackingError
from parefront.packing import CodedWeight, TiedWeight
from parefront.packing.tensor_parts import CODED, TENSOR, TIED, TensorHead, put_together, take_apart, to_tensor

CODED_WEIGHT = CodedWeight(torch.tensor([[0, 1], [2, 0]], dtype=torch.uint8), torch.tensor([0.0, -1.5, 2.0]))
TIED_WEIGHT = TiedWeight(torch.ones(1, 2), torch.zeros(3).short(), torch.zeros(3).byte(), torch.ones(3))


def test_a_head_names_the_parts_and_the_memory_that_they_take() -> None:
    head, arrays = take_apart(CODED_WEIGHT)
    assert head == TensorHead(CODED, torch.float32, (2, 2), n_rows=3)
    assert [(part.role, part.shape) for part in head.parts] == [("indices", (2, 2)), ("codebook", (3,))]
    assert head.decoded_bytes == 4 * 4 + 4 + 3 * 4  # the weight, the indices, the codebook
    assert arrays[0].tolist() == [[0, 1], [2, 0]]
    head, _ = take_apart(TIED_WEIGHT)
    assert head == TensorHead(TIED, torch.float32, (3, 2), n_rows=1, has_scale=True)
    assert [part.role for part in head.parts] == ["filters", "source", "transform", "scale"]
    assert head.decoded_bytes == 4 * 6 + 4 * 2 + 2 * 3 + 3 + 4 * 3


def test_bits_stay_as_they_are() -> None:
    head, arrays = take_apart(torch.tensor([0.0, -0.0, 1.5], dtype=torch.bfloat16, requires_grad=True))
    assert arrays[0].tolist() == [0, 0x8000, 0x3FC0]
    assert put_together(head, arrays).tolist() == [0.0, -0.0, 1.5]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "tensor", [torch.zeros(2, dtype=torch.complex64), torch.eye(2).to_sparse(), torch.zeros(2, dtype=torch.uint16)]
)
def test_types_that_have_no_number_are_refused(tensor: torch.Tensor) -> None:
    with pytest.raises(PackingError, match=r"must be dense and of one of the types float32, .*, int64, got "):
        take_apart(tensor)


def test_shapes_without_end_are_refused() -> None:
    with pytest.raises(PackingError, match="up to 16 axes"):
        take_apart(torch.zeros([1] * 17))
    with pytest.raises(PackingError, match="1099511627776 entries"):
        TensorHead(TENSOR, torch.float32, (0, 1 << 40, 2)).check()


def test_a_truth_value_is_0_or_1() -> None:
    _, (patterns,) = take_apart(torch.tensor([2], dtype=torch.uint8))
    with pytest.raises(PackingError, match="a truth value must be 0 or 1, got 2"):
        to_tensor(patterns, torch.bool)
