"""Is a machine quiet: made-up pairs for the judgement, one tiny real measurement."""

import dataclasses
import json

import pytest

from parefront.hardware_profiles import HardwareProfile, MeasurementError, MeterProtocol
from parefront.hardware_profiles.detection.noise import NEEDED, check_noise, judge
from parefront.hardware_profiles.detection.resolution import DIFFERENCES
from parefront.hardware_profiles.detection.self_pairs import SelfPairs
from parefront.hardware_profiles.measuring.conditions import Conditions

STILL = Conditions(
    clock_s=0.0, busy_s={0: 1.0}, steal_s={0: 0.0}, process_s={}, load=0.0,
    governor="performance", is_turbo_on=False, sibling_groups=(),
)  # fmt: skip


def pairs(size: float, **changes: object) -> SelfPairs:
    """Log-ratios of alternating sign and the same size, on a machine where nothing else happens."""
    made = SelfPairs(
        logs=tuple(size * (-1) ** position for position in range(24)),
        inference_ms=1.0,
        seconds=2.0,
        foreign_cpu=0.0,
        cores=(0,),
        is_realtime=True,
        before=STILL,
        after=dataclasses.replace(STILL, clock_s=2.0),
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]  # any field


@pytest.fixture
def profile(fast_profile: HardwareProfile) -> HardwareProfile:
    """Every measurement takes six pairs, and its interval reaches from the smallest to the largest of them."""
    return fast_profile.model_copy(update={"protocol": MeterProtocol(min_pairs=6, max_pairs=6)})


def test_a_machine_that_tells_three_percent_apart_is_quiet(profile: HardwareProfile) -> None:
    assert NEEDED in DIFFERENCES
    report = judge(profile, pairs(0.01))
    # Half-widths of 0.01 add up to 0.0141, between ln(1.01) = 0.00995 and ln(1.03) = 0.0296.
    assert [each.is_told_apart for each in report.resolutions] == [False, True, True]
    assert report.is_quiet
    assert report.half_width == pytest.approx(0.01)
    assert report.pairs_needed == 6
    assert report.disturbances == ()


def test_a_machine_that_does_not_is_not_and_a_cause_is_named(profile: HardwareProfile) -> None:
    report = judge(profile, pairs(0.05))
    # 0.0707 is between ln(1.03) and ln(1.1) = 0.0953.
    assert [each.is_told_apart for each in report.resolutions] == [False, False, True]
    assert not report.is_quiet
    assert "nothing that this check knows explains it" in report.disturbances[0].what


def test_a_known_cause_is_named_instead(profile: HardwareProfile) -> None:
    report = judge(profile, pairs(0.05, is_realtime=False))
    (only,) = report.disturbances
    assert "SCHED_FIFO" in only.what


def test_no_alarm_where_there_is_nothing(profile: HardwareProfile) -> None:
    assert judge(profile, pairs(0.01)).false_alarms == 0.0


def test_a_report_is_plain_data(profile: HardwareProfile) -> None:
    content = json.loads(json.dumps(judge(profile, pairs(0.01)).to_json(), allow_nan=False))
    assert content["is_quiet"] is True
    assert [each["difference"] for each in content["resolutions"]] == list(DIFFERENCES)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e9, float("nan")])
def test_an_impossible_time_is_refused(profile: HardwareProfile, seconds: float) -> None:
    with pytest.raises(MeasurementError, match="seconds must be above 0 and at most 3600"):
        check_noise(profile, seconds, lambda *step: None)


def test_a_real_machine_is_judged(fast_profile: HardwareProfile) -> None:
    steps: list[tuple[str, int, int]] = []
    report = check_noise(fast_profile, 0.2, lambda *step: steps.append(step))
    assert len(report.pairs.logs) >= fast_profile.protocol.min_pairs
    assert report.pairs.inference_ms > 0
    assert len(report.pairs.cores) == 1
    assert all(0.0 <= each.chance <= 1.0 for each in report.resolutions)
    assert steps
    json.dumps(report.to_json(), allow_nan=False)
