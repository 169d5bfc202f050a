"""A device on its own, with its real meter; several together: `test_devices`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from parefront.evaluators.device import Device
from parefront.hardware_profiles import HardwareProfile, Limits, Meter, PrecisionPlan, ProfileError
from parefront.spaces import Finished, trace

INPUTS = (torch.zeros(2, 3),)


@pytest.fixture
def finished() -> Finished:
    return Finished(trace(nn.Sequential(nn.Linear(3, 2)).eval(), INPUTS[0]).module, PrecisionPlan.none())


@pytest.fixture
def device(fast_profile: HardwareProfile, finished: Finished, tmp_path: Path) -> Iterator[Device]:
    limits = Limits(max_size_bytes=10)
    device = Device(fast_profile.model_copy(update={"limits": limits}), tmp_path)
    device.artefacts.export(finished, INPUTS, device.artefacts.path("x"))
    yield device
    device.close()


def test_a_network_is_executed_and_measured(device: Device, finished: Finished) -> None:
    path = device.artefacts.path("x")
    anchors = device.anchor({"fp32": path}, None)
    found = device.read(path, finished, is_final=False)
    assert set(found.scores) - {"memory_bytes", "energy_mj"} == {"latency_ms", "size_bytes"}
    assert found.scores["size_bytes"].value == path.stat().st_size
    latency = found.scores["latency_ms"]
    # The network is its own reference: the ratio is one, but for what a disturbed measurement adds.
    assert anchors["fp32"] / 10 < latency.value < 10 * anchors["fp32"]
    assert {time.layer for time in found.operator_times} >= {"0"}
    assert found.reason == ""
    assert found.broken_limit == f"its file has {path.stat().st_size} bytes, the device has room for 10"
    assert found.details["planned_int8"] == 0


def test_one_that_is_not_what_its_profile_says_is_let_go(
    fast_profile: HardwareProfile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Meter] = []
    close = Meter.close
    monkeypatch.setattr(Meter, "close", lambda meter: (closed.append(meter), close(meter)))
    with pytest.raises(ProfileError, match="was written for machine 0123456789abcdef"):
        Device(fast_profile.model_copy(update={"fingerprint": "0123456789abcdef"}), tmp_path / "new")
    assert len(closed) == 1
    assert not (tmp_path / "new").exists()
