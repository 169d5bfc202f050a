import pytest
import torch

from benchmarks.pare_damage import sample_file
from parefront.packing import CodedWeight, account, pack
from parefront.packing.pare_file import N_HASH, read_header

# As many of both, in no order: a bit each is the least.
SIGNS = (torch.randperm(400, generator=torch.Generator().manual_seed(0)) % 2) * 2.0 - 1


def test_every_byte_is_counted() -> None:
    data = sample_file()
    _, n_front = read_header(data)
    assert sum(each.n_bytes for each in account(data)) == len(data) - n_front - N_HASH  # nothing is filled up


def test_gaps_and_indices_by_hand() -> None:
    """Every tenth weight is kept, 100 in all: a gap of 9 each, and 4 different values."""
    indices = torch.zeros(10, 100, dtype=torch.uint8)
    shuffled = torch.randperm(100, generator=torch.Generator().manual_seed(0))
    indices[:, ::10] = (shuffled % 4 + 1).byte().reshape(10, 10)
    (found,) = account(pack({"w": CodedWeight(indices, torch.tensor([0.0, 1.5, -1.5, 2.5, -2.5]), torch.ones(10))}, {}))
    assert (found.name, found.shape, found.n_kept) == ("w", (10, 100), 100)
    assert found.value_bits == 2  # without the zero
    assert found.gap_bits == 4
    assert found.plain_bytes == 100 * 2 // 8 + 100 * 4 // 8
    assert found.parts["indices"] == 25  # all equally often, so nothing is shorter
    assert found.parts["codebook"] == 1 + 1 + 5 + 5  # plane by plane; the two lowest bytes of each are zero
    assert found.parts["scale"] == 4 + 1  # the different values, and which of them all are
    assert found.coded_bytes == found.parts["gaps"] + found.parts.get("tables", 0) + 25
    assert found.entropy_gain_bytes == found.plain_bytes - found.coded_bytes


@pytest.mark.parametrize(
    ("tensor", "value_bits", "n_kept", "parts"),
    [
        (torch.tensor([1.0, 0.0, 2.5]), 32, 2, {"values": 12}),
        (torch.tensor([0.0, 1.0, 2.0]), 32, 2, {}),  # levels
        (SIGNS, 1, 400, {"values": 50, "codebook": 8}),
        (torch.arange(1, 17, dtype=torch.uint8), 5, 16, {"values": 10}),
        (torch.empty(0), 32, 0, {}),
    ],
)
def test_tensors_by_hand(tensor: torch.Tensor, value_bits: int, n_kept: int, parts: dict[str, int]) -> None:
    (found,) = account(pack({"t": tensor}, {}))
    assert (found.value_bits, found.n_kept, found.parts) == (value_bits, n_kept, parts)
