"""Measuring through Ray calls, on the Ray that all tests share: it offers the device of the fast profile."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from onnx import TensorProto, helper, numpy_helper

from parefront.hardware_profiles import HardwareProfile, Host, MeasurementError, Meter, WorkerProcess, load_profile
from parefront.hardware_profiles.errors import DeviceLostError
from parefront.hardware_profiles.transport.remote_transport import PAUSES_S
from parefront.search import ray_devices as module
from parefront.search.ray_devices import RayTransport, no_device, open_ray_transport
from parefront.search.workers import Workers

pytestmark = pytest.mark.cluster
END = {"type": "end"}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """y = x · w for w of (3, 4)."""
    weight = numpy_helper.from_array(np.ones((3, 4), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [weight],
    )
    path = tmp_path_factory.mktemp("network") / "network.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(scope="module")
def transport(two_workers: Workers, fast_profile: HardwareProfile) -> Iterator[RayTransport]:
    transport = RayTransport(fast_profile)
    yield transport
    transport.close()


def relay(transport: RayTransport) -> Any:
    """The actor beside the device."""
    return transport._connection._relay  # type: ignore[union-attr]


def test_a_network_is_measured_where_the_device_is_by_its_content(
    transport: RayTransport, network: Path, fast_profile: HardwareProfile
) -> None:
    meter = Meter(fast_profile, transport)
    local = Meter(fast_profile, WorkerProcess())
    try:
        assert meter.fingerprint() == local.fingerprint()
    finally:
        local.close()
    assert transport.place(network).startswith("sha256:")
    found = meter.measure(network, network)
    assert 0 < found.low_ms <= found.latency_ms <= found.high_ms
    assert found.n_pairs == fast_profile.protocol.max_pairs
    assert [time.operator for time in meter.profile_operators(network, 3)] == ["MatMul"]


def test_what_breaks_a_rule_there_is_told_here_and_the_next_request_is_answered(transport: RayTransport) -> None:
    with pytest.raises(MeasurementError, match="must be one of begin, bursts"):
        transport.request({"type": "dance"})
    assert transport.request(END)["ok"] is True


def test_a_measuring_process_that_dies_is_replaced_unnoticed(transport: RayTransport, network: Path) -> None:
    name = transport.place(network)
    before = relay(transport)
    ray.kill(before)
    assert transport.place(network) == name
    assert relay(transport) != before


def test_another_machine_in_the_same_place_is_refused(fast_profile: HardwareProfile, two_workers: Workers) -> None:
    transport = RayTransport(fast_profile)
    transport._machine = "0123456789abcdef"
    with pytest.raises(DeviceLostError, match=r"device:fast must stay the machine 0123456789abcdef, .* but is now "):
        transport.request(END)


def test_another_version_there_is_refused(
    fast_profile: HardwareProfile, two_workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.importlib.metadata, "version", lambda name: "99.0")
    with pytest.raises(DeviceLostError, match=r"device:fast must have the search's version of parefront, 99\.0, but"):
        RayTransport(fast_profile).request(END)


def test_a_device_that_no_node_offers_is_lost_and_said_with_what_there_is(
    fast_profile: HardwareProfile, two_workers: Workers
) -> None:
    pauses: list[float] = []
    transport = RayTransport(fast_profile.model_copy(update={"name": "board"}), pauses.append)
    lost = r"'device:board' must be reachable, but no node offers device:board; nodes and resources are .*device:fast 1"
    with pytest.raises(DeviceLostError, match=lost):
        transport.request(END)
    assert pauses == list(PAUSES_S)


def test_only_living_nodes_count() -> None:
    gone = {"NodeManagerAddress": "a", "Alive": False, "Resources": {"device:fast": 1.0}}
    other = {"NodeManagerAddress": "b", "Alive": True, "Resources": {"CPU": 2.0, "node:b": 1.0}}
    assert no_device("fast", [gone, other]) == "no node offers device:fast; nodes and resources are b (CPU 2)"
    assert no_device("fast", [{**gone, "Alive": True}]) == ""


def test_profiles_with_a_host_of_their_own_keep_it(fast_profile: HardwareProfile) -> None:
    assert open_ray_transport(fast_profile.model_copy(update={"host": Host(address="board:7000")})) is None
    assert isinstance(open_ray_transport(fast_profile), RayTransport)


def test_files_that_may_hold_code_are_refused_before_anything_starts() -> None:
    with pytest.raises(MeasurementError, match=r"takes files of the format \.onnx only"):
        open_ray_transport(load_profile("cpu-torch"))
