"""Several devices with meters by formula; the files are real."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from parefront.evaluators import device as module
from parefront.evaluators.devices import Devices
from parefront.evaluators.evaluation import Evaluation
from parefront.hardware_profiles import Fingerprint, HardwareProfile, Limits, Measurement, PrecisionPlan, load_profile
from parefront.hardware_profiles.errors import DeviceLostError
from parefront.hardware_profiles.runtimes import OperatorTime, get_runtime
from parefront.hardware_profiles.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from parefront.hardware_profiles.runtimes.openvino_cpu import OpenVinoCpu
from parefront.spaces import Finished, trace

TESTS = Path(__file__).parent.parent
ANCHORS_MS = {"fast": 2.0, "fast-openvino": 3.0, "fast-torch": 5.0}
MEGABYTE = 2**20


class FakeMeter:
    """Every network takes half the time of the reference and 1 MiB; its only layer is executed in `precision`."""

    made: list["FakeMeter"] = []  # noqa: RUF012  # emptied before each test
    lost = ""
    precision = "fp32"

    def __init__(self, profile: HardwareProfile, transport: Any = None) -> None:
        self.name, self.is_closed, self.transport = profile.name, False, transport
        self.known: dict[Path, float] = {}
        self.measured: list[tuple[Path, dict[str, Any]]] = []
        FakeMeter.made.append(self)

    def fingerprint(self) -> Fingerprint:
        if self.name == FakeMeter.lost:
            raise DeviceLostError(f"device {self.name!r} must be reachable")
        return Fingerprint("cpu", (), 2, "Linux", "3.11", self.name, "2")

    def anchor(self, path: Path, known_ms: float | None = None) -> float:
        if known_ms is not None:
            self.known[path] = known_ms
        return self.known.get(path, ANCHORS_MS[self.name])

    def measure(self, path: Path, reference: Path, **options: Any) -> Measurement:
        self.measured.append((path, options))
        ms = self.anchor(reference) / 2
        return Measurement(
            ms, ms, ms, 8, True, 0.0, 0.0, True, 0, "good", 2 * ms, 0.0, 1, MEGABYTE, None, MEGABYTE, 2 * MEGABYTE
        )

    def profile_operators(self, path: Path, repeats: int) -> tuple[OperatorTime, ...]:
        return (OperatorTime("0", f"Gemm of {self.name}", FakeMeter.precision, 1.0),)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture(autouse=True)
def fake_meters(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeMeter.made, FakeMeter.lost, FakeMeter.precision = [], "", "fp32"
    monkeypatch.setattr(module, "Meter", FakeMeter)


def fast(*names: str) -> list[HardwareProfile]:
    return [load_profile(str(TESTS / f"{name}.yaml")) for name in names]


def limited(profile: HardwareProfile, **limits: Any) -> HardwareProfile:
    return profile.model_copy(update={"limits": Limits(**limits)})


@pytest.fixture
def finished() -> Finished:
    return Finished(trace(nn.Sequential(nn.Linear(3, 2)).eval(), torch.zeros(2, 3)).module, PrecisionPlan.none())


INPUTS = (torch.zeros(2, 3),)


@pytest.fixture
def read(finished: Finished, tmp_path: Path) -> Callable[..., Evaluation]:
    """Exports, anchors and reads one network on some profiles."""

    def read(profiles: list[HardwareProfile], *, is_final: bool = False) -> Evaluation:
        devices = Devices(profiles, tmp_path)
        devices.export(finished, INPUTS, "x")
        devices.anchor({"fp32": "x"})
        return devices.read(finished, "x", is_final=is_final)

    return read


def test_the_main_profile_has_plain_names_and_the_others_their_own(read: Callable[..., Evaluation]) -> None:
    found = read(fast("fast", "fast_openvino", "fast_torch"))
    values = {name: score.value for name, score in found.scores.items() if name.startswith("latency")}
    assert values == {"latency_ms": 1.0, "latency_ms@fast-openvino": 1.5, "latency_ms@fast-torch": 2.5}
    assert all(name == score.name for name, score in found.scores.items())
    memory = found.scores["memory_bytes@fast-torch"]
    assert (memory.low, memory.value, memory.high) == (MEGABYTE, MEGABYTE, 2 * MEGABYTE)
    assert found.details["latency_pairs@fast-openvino"] == found.details["latency_pairs"] == 8
    assert [time.operator for time in found.operator_times] == ["Gemm of fast"]
    assert {name: times[0].operator for name, times in found.operator_times_at.items()} == {
        "fast-openvino": "Gemm of fast-openvino",
        "fast-torch": "Gemm of fast-torch",
    }
    assert (found.reason, found.broken_limit) == ("", "")


def test_only_another_format_has_a_size_of_its_own(read: Callable[..., Evaluation], tmp_path: Path) -> None:
    found = read(fast("fast", "fast_openvino", "fast_torch"))
    assert {name for name in found.scores if name.startswith("size")} == {"size_bytes", "size_bytes@fast-torch"}
    assert found.artefact == tmp_path / "x.onnx"
    assert found.scores["size_bytes"].value == (tmp_path / "x.onnx").stat().st_size
    assert found.scores["size_bytes@fast-torch"].value == (tmp_path / "x.pt2").stat().st_size


def test_a_format_is_written_once(finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []
    for runtime in (OnnxRuntimeCpu, OpenVinoCpu):
        monkeypatch.setattr(runtime, "export", lambda self, module, inputs, plan, path: written.append(path))
    path = Devices(fast("fast_openvino", "fast"), tmp_path).export(finished, INPUTS, "x")
    assert written == [path] == [tmp_path / "x.onnx"]


@pytest.mark.parametrize("runtimes", [("onnxruntime", "openvino"), ("torch", "torch-compile")])
def test_runtimes_of_one_format_write_the_same_network(
    finished: Finished, tmp_path: Path, runtimes: tuple[str, str]
) -> None:
    """What `Devices` counts on: another runtime reads what the first one wrote."""
    outputs = []
    for name in runtimes:
        path = tmp_path / name
        get_runtime(name).export(finished.module, INPUTS, finished.plan, path)
        session = get_runtime(runtimes[0]).open_session(path, 1)
        outputs.append(session.run(torch.ones(2, 3).numpy()).tolist())
    assert outputs[0] == outputs[1]


def test_what_is_wrong_says_on_which_of_several_devices(read: Callable[..., Evaluation]) -> None:
    main, other = fast("fast", "fast_openvino")
    assert read([limited(main, max_latency_ms=0.5)]).broken_limit == "it takes 1 ms, the limit is 0.5 ms"
    found = read([limited(main, max_latency_ms=0.5), limited(other, max_memory_bytes=7)])
    assert found.broken_limit == (
        "on fast: it takes 1 ms, the limit is 0.5 ms; on fast-openvino: it takes 1048576 bytes of memory, the device "
        "has 7"
    )
    FakeMeter.precision = "int8"
    wrong = "1 layers did not execute as planned: 0"
    assert read([main]).reason == wrong
    assert read([main, other]).reason == f"on fast: {wrong}; on fast-openvino: {wrong}"


def test_every_device_has_its_own_anchors(finished: Finished, tmp_path: Path) -> None:
    devices = Devices(fast("fast", "fast_torch"), tmp_path)
    devices.export(finished, INPUTS, "reference-fp32")
    anchors = devices.anchor({"fp32": "reference-fp32"})
    assert anchors == {"fp32": 2.0, "fp32@fast-torch": 5.0}
    known = {"fp32": 2.5, "fp32@fast-torch": 4.0}
    assert devices.anchor({"fp32": "reference-fp32"}, known) == known
    assert [meter.known for meter in FakeMeter.made] == [
        {tmp_path / "reference-fp32.onnx": 2.5},
        {tmp_path / "reference-fp32.pt2": 4.0},
    ]


def test_final_members_are_measured_by_the_full_protocol_everywhere(read: Callable[..., Evaluation]) -> None:
    read(fast("fast", "fast_openvino"), is_final=True)
    assert [meter.measured[-1][1] for meter in FakeMeter.made] == [{}, {}]


def test_only_the_main_file_is_kept_of_what_was_not_trained(finished: Finished, tmp_path: Path) -> None:
    devices = Devices(fast("fast", "fast_openvino", "fast_torch"), tmp_path)
    devices.export(finished, INPUTS, "x")
    assert {path.name for path in tmp_path.iterdir()} == {"x.onnx", "x.pt2"}
    devices.keep_main_file("x")
    assert {path.name for path in tmp_path.iterdir()} == {"x.onnx"}


def test_a_device_that_is_missing_lets_go_of_the_others(tmp_path: Path) -> None:
    FakeMeter.lost = "fast-openvino"
    with pytest.raises(DeviceLostError, match="fast-openvino"):
        Devices(fast("fast", "fast_openvino", "fast_torch"), tmp_path)
    assert [(meter.name, meter.is_closed) for meter in FakeMeter.made] == [("fast", True), ("fast-openvino", True)]


def test_a_device_that_goes_away_while_it_measures_is_told_apart(
    read: Callable[..., Evaluation], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(self: FakeMeter, path: Path, repeats: int) -> tuple[OperatorTime, ...]:
        if self.name == "fast-openvino":
            raise DeviceLostError("device 'board:1' must be reachable")
        return ()

    monkeypatch.setattr(FakeMeter, "profile_operators", lose)
    with pytest.raises(DeviceLostError, match="board:1"):  # the search waits for it, as it does for a single one
        read(fast("fast", "fast_openvino"))


def test_all_are_closed(tmp_path: Path) -> None:
    devices = Devices(fast("fast", "fast_openvino"), tmp_path)
    assert [device.machine.runtime for device in devices] == ["fast", "fast-openvino"]
    devices.close()
    assert [meter.is_closed for meter in FakeMeter.made] == [True, True]


def test_a_profile_is_measured_over_the_way_that_is_given(tmp_path: Path) -> None:
    way: Any = object()
    with_way = Devices(fast("fast"), tmp_path, open_transport=lambda profile: way if profile.name == "fast" else None)
    assert [meter.transport for meter in FakeMeter.made] == [way]
    with_way.close()
    Devices(fast("fast"), tmp_path).close()
    assert FakeMeter.made[-1].transport is None
