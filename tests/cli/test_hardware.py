"""The commands about hardware profiles: as a user meets them, and their tables from made-up findings."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from typer.testing import CliRunner

from parefront.cli.hardware import EXIT_NOISY
from parefront.cli.main import app
from parefront.cli.noise_tables import verdict
from parefront.hardware_profiles import HardwareProfile, load_profile, profile_names
from parefront.hardware_profiles.detection.availability import RuntimePresence
from parefront.hardware_profiles.detection.channel_grid import GridFinding
from parefront.hardware_profiles.detection.detect import Detection
from parefront.hardware_profiles.detection.machine import Machine
from parefront.hardware_profiles.detection.noise import NoiseReport, judge
from parefront.hardware_profiles.detection.precision_gains import PrecisionFinding, Ratio, RuntimeFinding
from parefront.hardware_profiles.detection.resolution import Resolution
from parefront.hardware_profiles.detection.self_pairs import SelfPairs
from parefront.hardware_profiles.measuring.conditions import Conditions
from parefront.hardware_profiles.runtimes import Bits

STILL = Conditions(
    clock_s=0.0, busy_s={0: 1.0}, steal_s={}, process_s={}, load=None,
    governor=None, is_turbo_on=None, sibling_groups=None,
)  # fmt: skip


@pytest.fixture
def report(fast_profile: HardwareProfile) -> NoiseReport:
    """A silent machine that says little about itself."""
    after = dataclasses.replace(STILL, clock_s=2.0, process_s={"7 make": 3.0})
    return judge(fast_profile, SelfPairs((0.0,) * 12, 1.0, 2.0, 0.0, (0,), True, STILL, after))


def with_chances(report: NoiseReport, *chances: float) -> NoiseReport:
    told = tuple(Resolution(difference, chance) for difference, chance in zip((0.01, 0.03, 0.1), chances, strict=True))
    return dataclasses.replace(report, resolutions=told)


@pytest.fixture
def detection() -> Detection:
    """A machine with one runtime, on which int8 pays and bf16 does not."""
    machine = Machine("Some processor", "x86_64", (), (0,), None, (), None, False, False)
    presences = (
        RuntimePresence("onnxruntime", None, "needs onnxruntime: pip install 'onnxruntime'"),
        RuntimePresence("openvino", "2026.4.1-22982-e213a", ""),
    )
    precisions = (
        PrecisionFinding("bf16", {"residual": Ratio(1.8, 1.79, 1.81)}, Ratio(1.8, 1.79, 1.81), "slower than fp32"),
        PrecisionFinding(8, {"residual": Ratio(0.41, 0.4, 0.42)}, Ratio(0.41, 0.4, 0.42), ""),
    )
    openvino = RuntimeFinding("openvino", {"residual": 1.0}, precisions)
    grids: dict[Bits, GridFinding] = {32: GridFinding(16, 0.33, 0.0)}
    return Detection(machine, presences, 1, (openvino,), {}, openvino, grids, {32: {32: 0.4, 64: 1.0}})


def test_a_detection_is_told_with_its_figures(
    detection: Detection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parefront.hardware_profiles.detection.detect.detect", lambda *arguments, **options: detection)
    monkeypatch.setattr(
        "parefront.hardware_profiles.detection.detected_profile.fingerprint",
        lambda profile: SimpleNamespace(key="0" * 16),
    )
    path = tmp_path / "my-machine.yaml"
    code, output = run("detect", "--out", str(path))
    assert code == 0
    assert load_profile(str(path)).capabilities.weight_bits == (32, 8)
    for text in (
        *("needs onnxruntime: pip install 'onnxruntime'", "2026.4.1 ", "the system does not say", "1.80 ± 0.01"),
        *("slower than fp32", "multiples of 16", "openvino, 1 thread(s), fp32, int8, channels in multiples of 16"),
    ):
        assert text in output
    assert json.loads(run("detect", "--json")[1])["profile"]["name"] == "this-machine"


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["hardware", *arguments])
    return done.exit_code, done.output


def test_every_profile_is_listed_with_what_is_missing() -> None:
    code, table = run("list")
    assert code == 0
    assert all(name in table for name in profile_names())
    records = json.loads(run("list", "--json")[1])
    assert [record["name"] for record in records] == list(profile_names())
    first = next(record for record in records if record["name"] == "cpu-ort-1t")
    assert (first["runtime"], first["threads"], first["batch_size"]) == ("onnxruntime", 1, 1)
    assert first["precisions"] == ["fp32", "int8"]
    assert first["missing"] == []


def test_a_profile_is_shown_with_what_it_extends(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: cpu-ort-1t\nname: mine\nprotocol: {burst_ms: 7}\n")
    shown = yaml.safe_load(run("show", str(path))[1])
    assert shown["name"] == "mine"
    assert "extends" not in shown
    assert shown["runtime"]["name"] == "onnxruntime"
    assert HardwareProfile.model_validate(shown) == load_profile(str(path))


def test_the_schema_is_printed_or_written(tmp_path: Path) -> None:
    printed = json.loads(run("schema")[1])
    code, said = run("schema", "--out", str(tmp_path / "new" / "schema.json"))
    assert code == 0
    assert "yaml-language-server" in said
    assert json.loads((tmp_path / "new" / "schema.json").read_text()) == printed


def test_a_bad_target_is_refused_before_any_work(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["hardware", "detect", "--out", str(tmp_path / "x.json")])
    assert "--out must end in .yaml" in str(done.exception)


@pytest.mark.parametrize(
    ("chances", "code", "words"),
    [
        ((1.0, 1.0, 1.0), 0, "Quiet enough: differences of 1% or more"),
        ((0.2, 0.96, 1.0), 0, "Quiet enough: differences of 3% or more"),
        ((0.0, 0.94, 1.0), EXIT_NOISY, "Too noisy: only differences of 10% or more"),
        ((0.0, 0.0, 0.5), EXIT_NOISY, "Too noisy: not even 10 %"),
    ],
)
def test_the_check_ends_with_the_verdict(
    report: NoiseReport, monkeypatch: pytest.MonkeyPatch, chances: tuple[float, ...], code: int, words: str
) -> None:
    judged = with_chances(report, *chances)
    monkeypatch.setattr("parefront.hardware_profiles.detection.noise.check_noise", lambda *arguments: judged)
    assert EXIT_NOISY == 3
    assert verdict(judged).startswith(words)
    found, output = run("check")
    assert found == code
    assert words in output
    found, output = run("check", "--json")
    assert found == code
    assert json.loads(output)["is_quiet"] is (code == 0)


def test_the_check_says_what_is_unknown_and_what_disturbs(report: NoiseReport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parefront.hardware_profiles.detection.noise.check_noise", lambda *arguments: report)
    output = run("check")[1]
    assert "governor unknown: the system does not say, turbo unknown" in output
    assert "other programs were busy: make (150% of a core)" in output
    assert "remedy: end them" in output
