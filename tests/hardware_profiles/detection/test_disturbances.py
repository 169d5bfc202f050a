"""What disturbs, from made-up observations."""

import dataclasses

import pytest

from parefront.hardware_profiles.detection.disturbances import Activity, activity, find_disturbances
from parefront.hardware_profiles.measuring.conditions import Conditions

QUIET = Conditions(
    clock_s=100.0,
    busy_s={0: 50.0, 1: 50.0, 2: 50.0, 3: 50.0},
    steal_s={0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0},
    process_s={"7 python": 10.0, "8 python": 10.0, "9 cron": 1.0},
    load=0.1,
    governor="performance",
    is_turbo_on=False,
    sibling_groups=((0, 2), (1, 3)),
)
STILL = Activity(foreign_cpu=0.0, steal=0.0, sibling_cpu=0.0, processes={}, load=0.1)


def later(**changes: object) -> Conditions:
    """Ten seconds after `QUIET`."""
    return dataclasses.replace(QUIET, clock_s=110.0, **changes)  # type: ignore[arg-type]  # any field


def words(seen: Activity = STILL, conditions: Conditions = QUIET, *, is_realtime: bool = True) -> str:
    found = find_disturbances(seen, conditions, n_cores=2, is_realtime=is_realtime, max_foreign_cpu=0.05)
    assert all(each.what and each.remedy for each in found)
    return " / ".join(each.what for each in found)


def test_shares_are_of_the_time_that_passed() -> None:
    after = later(
        busy_s={0: 60.0, 1: 50.0, 2: 55.0, 3: 50.0},
        steal_s={0: 2.0, 1: 1.0, 2: 1.0, 3: 9.0},
        process_s={"7 python": 12.0, "8 python": 11.0, "9 cron": 1.0, "10 new": 5.0},
    )
    seen = activity(QUIET, after, cores=(0, 1), foreign_cpu=0.3)
    assert seen.foreign_cpu == 0.3
    assert seen.steal == pytest.approx(0.05)  # 1 s of 2 x 10 s
    assert seen.sibling_cpu == pytest.approx(0.25)  # cores 2 and 3: 5 s of 2 x 10 s
    assert seen.processes == pytest.approx({"new": 0.5, "python": 0.3})  # cron did nothing
    assert list(seen.processes) == ["new", "python"]
    assert seen.load == 0.1


def test_without_siblings_or_counters_there_is_no_share() -> None:
    after = later(sibling_groups=(), steal_s={})
    seen = activity(QUIET, after, cores=(0,), foreign_cpu=0.0)
    assert (seen.sibling_cpu, seen.steal) == (None, None)


def test_a_quiet_machine_has_no_disturbances() -> None:
    assert words() == ""
    assert words(conditions=dataclasses.replace(QUIET, governor=None, is_turbo_on=None, sibling_groups=None)) == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steal": 0.2}, "the hypervisor gave 20% of the leased cores' time to other machines"),
        ({"foreign_cpu": 0.5}, "other programs used 50% of the leased cores' time"),
        ({"sibling_cpu": 0.9}, "the other hardware threads of the leased cores (SMT) were busy 90%"),
        ({"processes": {"make": 1.5, "cron": 0.02}}, "other programs were busy: make (150% of a core)"),
        ({"load": 2.5}, "the load over the minute before was 2.5 on 2 core(s)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_others_do_is_named(change: dict[str, object], message: str) -> None:
    found = words(dataclasses.replace(STILL, **change))  # type: ignore[arg-type]  # any field
    assert found.startswith(message)
    assert "cron" not in found


@pytest.mark.parametrize(
    ("change", "message"),
    [({"governor": "powersave"}, "(governor powersave)"), ({"is_turbo_on": True}, "(turbo)")],
)
def test_settings_of_the_machine_are_named(change: dict[str, object], message: str) -> None:
    assert message in words(conditions=dataclasses.replace(QUIET, **change))  # type: ignore[arg-type]  # any field


def test_missing_realtime_priority_is_named() -> None:
    assert "SCHED_FIFO" in words(is_realtime=False)
