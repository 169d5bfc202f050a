import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from parefront.hardware_profiles import HardwareProfile, MeasurementError, Meter, PrecisionPlan, load_profile
from parefront.hardware_profiles.export.qdq import export_onnx


class FakeTransport:
    """Answers bursts from a formula: (name of the network, number of the burst) -> time of a run in ms."""

    def __init__(self, time_ms: Callable[[str, int], float], foreign: Callable[[int], float] = lambda attempt: 0.0):
        self.time_ms = time_ms
        self.foreign = foreign
        self.requests: list[dict[str, Any]] = []
        self.n_bursts = 0
        self.n_attempts = 0
        self.is_closed = False
        self.joules: dict[str, float] = {}
        self.steal_s = 0.0

    def place(self, path: Path) -> str:
        return str(path)

    def request(self, message: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(message)
        if message["type"] == "begin":
            self.n_attempts += not message["is_fresh"]
            return {"ok": True, "cores": [0], "memory_bytes": [1000 + len(path) for path in message["paths"]]}
        if message["type"] != "bursts":
            return {"ok": True}
        runs = []
        for path in message["order"]:
            # One run in five is ten times slower, as if interrupted.
            time_ms = self.time_ms(Path(path).stem, self.n_bursts)
            runs.append([time_ms, time_ms, 10 * time_ms, time_ms, time_ms])
            self.n_bursts += 1
        return {
            "ok": True,
            "runs_ms": runs,
            "joules": [self.joules.get(Path(path).stem) for path in message["order"]],
            "wall_s": 1.0,
            "foreign_s": self.foreign(self.n_attempts),
            "steal_s": self.steal_s,
            "is_realtime": True,
        }

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def profile() -> HardwareProfile:
    return load_profile("cpu-ort-1t")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    candidate, reference = tmp_path / "candidate.onnx", tmp_path / "reference.onnx"
    candidate.write_bytes(b"candidate")
    reference.write_bytes(b"reference")
    return candidate, reference


def steady(name: str, burst: int) -> float:
    return {"candidate": 0.5, "reference": 2.0}[name]


def test_latency_is_the_ratio_times_the_anchor(profile: HardwareProfile, files: tuple[Path, Path]) -> None:
    transport = FakeTransport(steady)
    with Meter(profile, transport) as meter:
        found = meter.measure(*files)

    assert dataclasses.asdict(found) == pytest.approx(
        {
            "latency_ms": 0.5,
            "low_ms": 0.5,
            "high_ms": 0.5,
            "n_pairs": 8,
            "is_converged": True,
            "foreign_cpu": 0.0,
            "steal": 0.0,
            "is_realtime": True,
            "n_requeues": 0,
            "quality": "good",
            "reference_ms": 2.0,
            "reference_drift": 0.0,
            "batch_size": 1,
            "memory_bytes": 1000 + len(str(files[0])),
            "energy_mj": None,
            "memory_low_bytes": 1000 + len(str(files[0])),
            "memory_high_bytes": 1000 + len(str(files[0])),
            "energy_low_mj": None,
            "energy_high_mj": None,
        }
    )
    assert transport.is_closed


def test_a_drifting_clock_rate_cancels_out(profile: HardwareProfile, files: tuple[Path, Path]) -> None:
    # The machine slows down by 1 % a burst. Each pair is off by the drift of one burst, in one direction and then the
    # other as the order swaps, so that the true ratio lies between the bounds.
    meter = Meter(profile, FakeTransport(lambda name, burst: steady(name, burst) * 1.01**burst))
    meter.anchor(files[1], known_ms=2.0)

    found = meter.measure(*files, half_width=0.02)

    assert found.latency_ms == pytest.approx(0.5, rel=0.0101)
    assert found.low_ms <= 0.5 <= found.high_ms


def test_the_order_swaps_and_bursts_follow_the_protocol(profile: HardwareProfile, files: tuple[Path, Path]) -> None:
    transport = FakeTransport(steady)
    meter = Meter(profile, transport)
    meter.anchor(files[1])
    transport.requests.clear()
    meter.measure(*files)

    begin, *turns, end = transport.requests
    bursts = [request for request in turns if request["type"] == "bursts"]
    assert (begin["type"], end["type"]) == ("begin", "end")
    assert (begin["threads"], begin["batch_size"], begin["warmup_ms"]) == (1, 1, 50.0)
    assert [Path(burst["order"][0]).stem for burst in bursts[:3]] == ["candidate", "reference", "candidate"]
    assert {burst["burst_ms"] for burst in bursts} == {40.0}


def test_the_anchor_is_measured_once_per_content(
    profile: HardwareProfile, files: tuple[Path, Path], tmp_path: Path
) -> None:
    transport = FakeTransport(steady)
    meter = Meter(profile, transport)

    assert meter.anchor(files[1]) == pytest.approx(2.0)
    n_requests = len(transport.requests)
    (tmp_path / "copy.onnx").write_bytes(b"reference")
    assert meter.anchor(tmp_path / "copy.onnx") == pytest.approx(2.0)
    assert len(transport.requests) == n_requests
    assert meter.anchor(files[1], known_ms=2.5) == 2.5


def test_both_networks_are_loaded_again_in_between(profile: HardwareProfile, files: tuple[Path, Path]) -> None:
    transport = FakeTransport(steady)
    meter = Meter(profile, transport)
    meter.anchor(files[1], known_ms=2.0)
    meter.measure(*files)

    # 8 pairs, 4 per load: the first load may use what is loaded already.
    assert [request["type"] for request in transport.requests] == ["begin", *["bursts"] * 4] * 2 + ["end"]
    begins = [request for request in transport.requests if request["type"] == "begin"]
    assert [begin["is_fresh"] for begin in begins] == [False, True]
    assert begins[1]["paths"] == begins[0]["paths"][::-1]


def test_drift_is_told_and_changes_nothing(profile: HardwareProfile, files: tuple[Path, Path]) -> None:
    meter = Meter(profile, FakeTransport(lambda name, burst: 1.25 * steady(name, burst)))
    meter.anchor(files[1], known_ms=2.0)

    found = meter.measure(*files)

    # The reference takes 2.5 ms now; the candidate is still a quarter of the anchor.
    assert (found.reference_drift, found.latency_ms) == pytest.approx((0.25, 0.5))


def test_energy_is_that_of_the_candidate(profile: HardwareProfile, files: tuple[Path, Path]) -> None:
    transport = FakeTransport(steady)
    transport.joules = {"candidate": 0.25, "reference": 7.0}

    found = Meter(profile, transport).measure(*files)
    assert (found.energy_low_mj, found.energy_mj, found.energy_high_mj) == pytest.approx((250.0, 250.0, 250.0))


def test_memory_is_the_median_of_the_loads_with_their_range(profile: HardwareProfile, files: tuple[Path, Path]) -> None:
    class Loading(FakeTransport):
        """The candidate takes 9, 5, then 6 MB, the reference always 100."""

        def request(self, message: dict[str, Any]) -> dict[str, Any]:
            answer = super().request(message)
            if message["type"] == "begin":
                n_loads = sum(request["type"] == "begin" for request in self.requests)
                taken = {"candidate": (9, 5, 6)[n_loads - 1], "reference": 100}
                answer["memory_bytes"] = [taken[Path(path).stem] * 10**6 for path in message["paths"]]
            return answer

    meter = Meter(profile, Loading(lambda name, burst: steady(name, burst) * 1.1 ** (burst % 3)))
    meter.anchor(files[1], known_ms=2.0)

    found = meter.measure(*files, max_pairs=12)  # 4 pairs per load

    assert found.n_pairs == 12
    assert (found.memory_low_bytes, found.memory_bytes, found.memory_high_bytes) == (5 * 10**6, 6 * 10**6, 9 * 10**6)


def test_time_that_a_hypervisor_took_is_a_disturbance(profile: HardwareProfile, files: tuple[Path, Path]) -> None:
    transport = FakeTransport(steady)
    transport.steal_s = 0.2
    found = Meter(profile, transport).measure(*files)

    assert (found.quality, found.n_requeues, found.foreign_cpu) == ("low", 2, 0.0)
    assert found.steal == pytest.approx(0.2)


def scattered(name: str, burst: int) -> float:
    """The candidate is 10 % slower in every other pair."""
    return steady(name, burst) * (1.1 if name == "candidate" and burst // 2 % 2 else 1.0)


def test_a_scattered_ratio_stops_at_the_limit_with_low_quality(
    profile: HardwareProfile, files: tuple[Path, Path]
) -> None:
    meter = Meter(profile, FakeTransport(scattered))
    meter.anchor(files[1], known_ms=2.0)

    found = meter.measure(*files, max_pairs=18)

    assert (found.n_pairs, found.is_converged, found.quality) == (18, False, "low")
    assert (found.low_ms, found.high_ms) == pytest.approx((0.5, 0.55))


def test_a_wider_half_width_is_reached(profile: HardwareProfile, files: tuple[Path, Path]) -> None:
    meter = Meter(profile, FakeTransport(scattered))
    meter.anchor(files[1], known_ms=2.0)

    # Half of 1.1 - 1.0, relative to the geometric mean of the two middle values, 1.0488.
    assert meter.measure(*files, half_width=0.048).quality == "good"
    assert meter.measure(*files, half_width=0.047, max_pairs=18).quality == "low"


@pytest.mark.parametrize(
    ("foreign", "n_requeues", "quality", "kept"),
    [
        ([0.0], 0, "good", 0.0),
        ([0.05], 0, "good", 0.05),
        ([0.3, 0.01], 1, "good", 0.01),
        ([0.3, 0.1, 0.2], 2, "low", 0.1),
    ],
)
def test_disturbed_measurements_are_repeated(
    profile: HardwareProfile,
    files: tuple[Path, Path],
    foreign: list[float],
    n_requeues: int,
    quality: str,
    kept: float,
) -> None:
    meter = Meter(profile, FakeTransport(steady, lambda attempt: foreign[attempt - 1]))
    meter.anchor(files[1], known_ms=2.0)

    found = meter.measure(*files)

    assert (found.n_requeues, found.quality) == (n_requeues, quality)
    assert found.foreign_cpu == pytest.approx(kept)


def test_a_missing_reference_is_named(profile: HardwareProfile, tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match=r"none.onnx .*No such file"):
        Meter(profile, FakeTransport(steady)).anchor(tmp_path / "none.onnx")


def test_a_real_measurement_orders_two_networks(profile: HardwareProfile, tmp_path: Path) -> None:
    files = []
    for name, width in (("candidate", 8), ("reference", 64)):
        module = nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, width, 3))
        files.append(tmp_path / f"{name}.onnx")
        export_onnx(module, (torch.zeros(1, 3, 24, 24),), PrecisionPlan.none(), files[-1])
    protocol = profile.protocol.model_copy(update={"burst_ms": 10.0, "warmup_ms": 5.0, "max_pairs": 10})

    with Meter(profile.model_copy(update={"protocol": protocol})) as meter:
        found = meter.measure(*files)
        with pytest.raises(MeasurementError, match="a network to measure must exist"):
            meter.measure(tmp_path / "none.onnx", files[1])
        (tmp_path / "bad.onnx").write_bytes(b"no network")
        with pytest.raises(MeasurementError, match="must be able to load"):
            meter.measure(tmp_path / "bad.onnx", files[1])
        again = meter.measure(*files)

    # 64 channels cost at least (64 * 64) / (8 * 8) / 64 of 8 channels' multiplications; far below the truth, for noise.
    assert 0.0 < found.low_ms <= found.latency_ms <= found.high_ms < 0.8 * found.reference_ms
    assert again.reference_ms == found.reference_ms


def test_the_measuring_process_imports_no_torch() -> None:
    code = "import sys, parefront.hardware_profiles.measuring.meter_worker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
