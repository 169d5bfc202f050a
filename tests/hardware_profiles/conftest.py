"""Networks small enough to write by hand, without torch."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

WriteNetwork = Callable[..., Path]
METER = (sys.executable, "-m", "parefront.hardware_profiles.transport.meter_program")


@pytest.fixture
def write_network(tmp_path: Path) -> WriteNetwork:
    """Writes y = x · w for w of (3, width); the weight inside the file, or in the file beside it that is named."""

    def write(name: str = "network.onnx", width: int = 4, data_name: str | None = None) -> Path:
        weight = numpy_helper.from_array(np.arange(3 * width, dtype=np.float32).reshape(3, width), "w")
        path = tmp_path / name
        if data_name is not None:
            if "/" not in data_name:
                (tmp_path / data_name).write_bytes(weight.raw_data)
            weight.ClearField("raw_data")
            weight.data_location = TensorProto.EXTERNAL
            weight.external_data.add(key="location", value=data_name)
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"])],
            "tiny",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", width])],
            [weight],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        path.write_bytes(model.SerializeToString())
        assert onnx.ModelProto.FromString(path.read_bytes()) == model
        return path

    return write


@dataclass(frozen=True)
class Listener:
    """A `parefront-meter --listen` in a process of its own."""

    process: subprocess.Popen[str]
    address: str

    def workers(self) -> list[int]:
        """The processes of its clients."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]


@pytest.fixture
def private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stores and leases of the test's processes lie here, apart from those of other measurements on this machine."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def start_listener(private_folder: Path) -> Iterator[Callable[..., Listener]]:
    """Starts one; by default on a free port of the loopback address. Ended after the test."""
    started = []

    def start(address: str = "127.0.0.1:0", program: tuple[str, ...] = METER) -> Listener:
        process = subprocess.Popen((*program, "--listen", address), stderr=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("listening on "):
                return Listener(process, line.split()[-1])
        raise AssertionError("it ended without listening")

    yield start
    for process in started:
        process.terminate()
        process.wait(20)
        assert process.stderr is not None
        process.stderr.close()
