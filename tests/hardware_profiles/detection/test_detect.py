"""What detection makes of a machine, with a meter that pretends; and the profile it writes."""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import date
from pathlib import Path

import pytest
import yaml

from parefront.hardware_profiles import (
    HardwareProfile,
    MeasurementError,
    OperatorTime,
    ProfileError,
    fingerprint,
    load_profile,
)
from parefront.hardware_profiles.detection.availability import RuntimePresence
from parefront.hardware_profiles.detection.channel_grid import GridFinding
from parefront.hardware_profiles.detection.detect import Detection, detect, quick_profile
from parefront.hardware_profiles.detection.detected_profile import (
    check_target,
    detection_json,
    profile_of,
    write_profile,
)
from parefront.hardware_profiles.detection.machine import Cache, Machine
from parefront.hardware_profiles.detection.precision_gains import PrecisionFinding, Ratio, RuntimeFinding
from parefront.hardware_profiles.detection.width_sweep import sweep_widths
from parefront.hardware_profiles.measuring.cores import available_cores
from parefront.hardware_profiles.measuring.measurement import Measurement
from parefront.hardware_profiles.runtimes import Bits

WIDTHS = (32, 40, 48, 56, 64)
LAYERS = ("stem", "conv1", "conv2", "down", "conv3", "conv4", "classifier")


class PretendedMeter:
    """Int8 takes half the time, and widths that are no multiple of 16 half as much again."""

    def __init__(self, profile: HardwareProfile) -> None:
        self.profile = profile

    def anchor(self, reference_path: Path) -> float:
        return 2.0

    def measure(self, path: Path, reference_path: Path) -> Measurement:
        assert path.is_file()
        ratio = 0.5
        if "width" in path.name:
            width = int(path.name.partition("width")[2].partition("-")[0])
            ratio = width / 64 * (1.5 if width % 16 else 1.0)
        return Measurement(
            2 * ratio, 1.99 * ratio, 2.01 * ratio, 8, True, 0.0, 0.0, True, 0, "good", 2.0, reference_drift=0.0
        )

    def profile_operators(self, path: Path, repeats: int) -> tuple[OperatorTime, ...]:
        return tuple(OperatorTime(layer, "Kernel", "int8", 1.0) for layer in LAYERS)


def pretend(profile: HardwareProfile) -> AbstractContextManager[PretendedMeter]:
    return nullcontext(PretendedMeter(profile))


def finding(name: str, mean: Mapping[Bits, float]) -> RuntimeFinding:
    precisions = [
        PrecisionFinding(bits, {}, Ratio(value, value, value), "" if value < 0.95 else "slower than fp32")
        for bits, value in mean.items()
    ]
    return RuntimeFinding(name, {"residual": 1.0}, tuple(precisions))


def found(runtime: RuntimeFinding, threads: int = 1) -> Detection:
    machine = Machine(
        cpu_model="Some: processor #1",
        architecture="riscv64",
        isa_flags=("avx2",),
        cores=(0, 1),
        sibling_groups=None,
        caches=(Cache(1, "data", 49152, 1),),
        memory_bytes=None,
        has_energy_counter=False,
        is_realtime_permitted=True,
    )
    presences = (RuntimePresence("openvino", None, "needs openvino: pip install 'parefront[openvino]'"),)
    grids: dict[Bits, GridFinding] = {32: GridFinding(8, 0.3, 0.0), 8: GridFinding(16, 0.2, 0.0)}
    return Detection(machine, presences, threads, (runtime,), {}, runtime, grids, {32: {32: 0.5}, 8: {32: 0.5}})


def test_detection_tries_precisions_and_widths() -> None:
    steps: list[tuple[str, int, int]] = []
    detection = detect(
        lambda *step: steps.append(step),
        runtime="onnxruntime",
        networks=["residual"],
        widths=WIDTHS,
        open_meter=pretend,
    )
    assert detection.chosen.name == "onnxruntime"
    assert detection.chosen.offered == (32, 8)
    assert {bits: each.grid for bits, each in detection.grids.items()} == {32: 16, 8: 16}
    assert detection.widths_ms[8][40] == pytest.approx(40 / 64 * 1.5)
    # One network in two precisions, and five widths in each.
    assert [step for _, step, _ in steps] == list(range(12))
    assert {(what, total) for what, _, total in steps} == {("trying out this machine", 12)}


def test_the_fastest_runtime_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    fast, slow = finding("onnxruntime", {8: 0.4}), finding("openvino", {8: 0.5})
    monkeypatch.setattr(
        "parefront.hardware_profiles.detection.detect._try_runtimes",
        lambda *arguments: ((slow, fast), {"torch": "broken"}),
    )
    detection = detect(lambda *step: None, widths=(32, 64), open_meter=pretend)
    assert detection.chosen is fast
    assert detection.failed == {"torch": "broken"}


def test_a_machine_without_a_runtime_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "parefront.hardware_profiles.detection.detect._try_runtimes", lambda *arguments: ((), {"torch": "broken"})
    )
    with pytest.raises(MeasurementError, match=r"able to run, got none \(torch: broken\)"):
        detect(lambda *step: None, open_meter=pretend)


@pytest.mark.parametrize("threads", [0, len(available_cores()) + 1])
def test_impossible_threads_are_refused(threads: int) -> None:
    with pytest.raises(ProfileError, match=f"--threads must be from 1 to the .* available, got {threads}"):
        detect(lambda *step: None, threads=threads, open_meter=pretend)


def test_an_unknown_runtime_is_refused() -> None:
    with pytest.raises(ProfileError, match="unknown runtime 'ncnn'"):
        detect(lambda *step: None, runtime="ncnn", open_meter=pretend)


def test_a_sweep_measures_each_width_against_the_widest(tmp_path: Path) -> None:
    times = sweep_widths(
        "onnxruntime", 32, PretendedMeter(quick_profile("onnxruntime", 1)), tmp_path, lambda what: None, (32, 40, 64)
    )
    assert times == pytest.approx({32: 0.5, 40: 40 / 64 * 1.5, 64: 1.0})


# --- the profile


def test_the_written_profile_loads_with_what_was_found(tmp_path: Path) -> None:
    path = tmp_path / "new" / "my-machine.yaml"
    profile = write_profile(found(finding("onnxruntime", {8: 0.4})), path, date(2026, 1, 2))
    assert load_profile(str(path)) == profile
    assert profile.name == "my-machine"
    assert profile.is_measured
    assert profile.capabilities.weight_bits == (32, 8)
    assert profile.capabilities.channel_grid == 16  # The larger one suits both precisions.
    assert profile.target.architecture is None  # One that the schema does not know.
    assert profile.fingerprint == fingerprint(profile).key


def test_what_does_not_pay_is_not_offered_and_said(tmp_path: Path) -> None:
    path = tmp_path / "my-machine.yaml"
    profile = write_profile(found(finding("onnxruntime", {8: 1.2})), path, date(2026, 1, 2))
    assert profile.capabilities.weight_bits == (32,)
    text = path.read_text()
    assert "#   int8: 1.200 (1.200 .. 1.200), not offered: slower than fp32" in text
    assert text.startswith("# Written by `parefront hardware detect` on 2026-01-02.")
    assert "grid 16; off it up to 20% more than in proportion" in text


def test_several_threads_are_measured_less_sharply() -> None:
    one, two = (profile_of(found(finding("onnxruntime", {8: 0.4}), threads), "x") for threads in (1, 2))
    assert (one.runtime.threads, two.runtime.threads) == (1, 2)
    assert two.protocol.half_width == 2 * one.protocol.half_width


def test_a_detection_is_told_as_json() -> None:
    detection = found(finding("onnxruntime", {8: 0.4}))
    content = json.loads(detection_json(detection, profile_of(detection, "x")))
    assert content["chosen"] == "onnxruntime"
    assert content["grids"]["int8"]["grid"] == 16
    assert content["profile"]["capabilities"]["weight_bits"] == [32, 8]
    assert yaml.safe_load(json.dumps(content["profile"]))["name"] == "x"


@pytest.mark.parametrize(("name", "message"), [("x.json", "must end in .yaml"), ("there.yaml", "must not exist yet")])
def test_a_bad_target_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "there.yaml").touch()
    with pytest.raises(ProfileError, match=message):
        check_target(tmp_path / name)
