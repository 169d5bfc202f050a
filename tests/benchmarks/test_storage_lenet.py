"""Of the benchmark what decides: which file counts, and what the table per layer says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.lenet_data import NETWORKS, digits_data, mnist_data
from benchmarks.storage_lenet import layer_rows
from benchmarks.storage_lenet_tables import chosen
from parefront.hardware_profiles.errors import TaskError
from parefront.packing import CodedWeight, pack


def packed(ratio: float, validation: float) -> dict[str, Any]:
    return {"ratio": ratio, "n_bytes": round(10_000 / ratio), "validation_accuracy": validation, "test_accuracy": 0.0}


def test_the_smallest_file_that_is_good_enough_counts() -> None:
    rounds = [packed(10, 99.0), packed(20, 98.0), packed(30, 97.6), packed(45, 97.0)]
    found = chosen({"dense": (98.0, 97.0), "rounds": rounds}, aim=25)
    assert {name: each["ratio"] for name, each in found.items()} == {
        "at no loss": 20,
        "at half a point": 30,
        "first at the aim": 30,
    }
    assert chosen({"dense": (99.9, 0.0), "rounds": rounds[:1]}, aim=25) == {}


def test_the_networks_are_the_papers() -> None:
    sizes = {name: sum(each.numel() for each in network.build().parameters()) for name, network in NETWORKS.items()}
    assert sizes == {"lenet-300-100": 266_610, "lenet-5": 431_080}
    data = digits_data(0)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [1077, 360, 360]
    for network in NETWORKS.values():
        assert network.build()(data.test.inputs[:2]).shape == (2, 10)


def test_the_table_counts_every_byte_of_a_layer() -> None:
    indices = torch.zeros(20, 50, dtype=torch.uint8)
    indices[:, ::10] = torch.arange(1, 4).repeat(34)[:100].reshape(20, 5).byte()
    coded = CodedWeight(indices, torch.tensor([0.0, 1.0, 2.0, 3.0]))
    (row,) = layer_rows(pack({"1.weight": coded, "1.bias": torch.arange(20.0).sin()}, {}))
    assert (row["layer"], row["n_weights"], row["kept_share"]) == ("1", 1000, 0.1)
    assert row["ratio"] == 4000 / row["n_bytes"]
    assert row["n_bytes"] > 16  # the codebook's four numbers
    assert row["bias_bytes"] == 80  # twenty different numbers of 4 bytes


def test_mnist_is_read_from_its_files(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, n in (("train", 40), ("t10k", 20)):
        images = np.full((n, 28, 28), 255, dtype=np.uint8)
        header = np.array([0x803, n, 28, 28], dtype=">i4").tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        classes = np.arange(n, dtype=np.uint8) % 10
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(np.array([0x801, n], dtype=">i4").tobytes() + classes.tobytes())
    data = mnist_data(tmp_path, seed=0)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [36, 4, 20]
    # White is (1 - .1307) / .3081.
    assert data.train.inputs.unique().tolist() == pytest.approx([2.8215], abs=1e-4)
    with pytest.raises(TaskError, match=r"MNIST must lie in .*nowhere.*, but does not: put its four files there"):
        mnist_data(tmp_path / "nowhere", seed=0)
