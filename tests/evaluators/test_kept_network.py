from pathlib import Path

import pytest
import torch

from parefront.evaluators.kept_network import KeptNetwork, kept_path, n_probes
from parefront.hardware_profiles.errors import ExportError
from parefront.spaces import Configuration, Network, finish, prepare, simulate

INPUTS = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_what_is_written_is_read_back(tiny_network: Network, tmp_path: Path) -> None:
    configuration = Configuration.of({"bits/stem": 8, "prune/stem": 8})
    finished = finish(prepare(tiny_network, configuration), configuration, INPUTS)
    path = kept_path(tmp_path / "final-3.onnx")
    KeptNetwork.of(finished, INPUTS).write(path)
    assert [each.name for each in tmp_path.iterdir()] == ["final-3.pt"]
    found = KeptNetwork.read(path)
    assert found.plan == finished.plan
    assert found.state.keys() == finished.module.state_dict().keys()
    assert all(torch.equal(value, found.state[name]) for name, value in finished.module.state_dict().items())
    assert torch.equal(found.inputs, INPUTS[:32])
    assert torch.equal(found.outputs, simulate(finished.module, finished.plan)(INPUTS[:32]))


def test_probes_take_a_megabyte_where_that_is_enough() -> None:
    assert n_probes(torch.zeros(100, 1, 8, 8)) == 32  # 256 bytes each
    assert n_probes(torch.zeros(100, 25_000)) == 10  # 100,000 bytes each
    assert n_probes(torch.zeros(100, 3, 224, 224)) == 4  # 602,112 bytes each


def test_a_file_of_an_earlier_version_is_named(tmp_path: Path) -> None:
    torch.save({"stem.weight": torch.zeros(1)}, tmp_path / "final-1.pt")
    with pytest.raises(ExportError, match=r"got weights alone in .*final-1\.pt, from an earlier version: search again"):
        KeptNetwork.read(tmp_path / "final-1.pt")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "final-1.pt").write_bytes(b"nothing")
    with pytest.raises(ExportError, match=r"must be as it was written, got .*final-1\.pt \(\w+\): search again"):
        KeptNetwork.read(tmp_path / "final-1.pt")
