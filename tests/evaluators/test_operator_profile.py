import pytest

from parefront.evaluators.operator_profile import times_by_layer
from parefront.hardware_profiles import OperatorTime


def profile(**microseconds: float) -> list[OperatorTime]:
    return [OperatorTime(None if name == "other" else name, "Conv", "fp32", us) for name, us in microseconds.items()]


def test_operators_of_one_layer_are_summed() -> None:
    times = [*profile(a=10.0, other=2.0), OperatorTime("a", "Conv", "fp32", 5.0), OperatorTime(None, "Add", "", 3.0)]
    assert times_by_layer(times, 20.0) == pytest.approx({"a": 15.0, None: 5.0})


def test_the_profiler_s_part_is_the_same_for_every_operator() -> None:
    # 3 µs more than measured, on three operators: 1 each.
    assert times_by_layer(profile(a=11.0, b=21.0, other=3.0), 32.0) == pytest.approx({"a": 10.0, "b": 20.0, None: 2.0})


def test_beyond_what_a_profiler_adds_the_clock_differs() -> None:
    # 3 µs at most per operator: 100 and 200 of 306 are left, and take twice what was measured.
    found = times_by_layer(profile(a=203.0, b=403.0), 300.0)
    assert found == pytest.approx({"a": 100.0, "b": 200.0})


def test_a_quick_operator_keeps_some_time() -> None:
    # 2 µs each are taken off, but 0.3 are left of the quick one; then 12.3 are brought to 12.
    assert times_by_layer(profile(a=14.0, b=1.0), 11.0) == pytest.approx({"a": 12 * 11 / 12.3, "b": 0.3 * 11 / 12.3})


def test_a_network_without_operators_has_no_layers() -> None:
    assert times_by_layer([], 10.0) == {}
