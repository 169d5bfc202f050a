"""What goes on around a measurement, from folders that look like /sys and /proc."""

import json
import os
from pathlib import Path

import pytest

from parefront.hardware_profiles.measuring.conditions import read_conditions
from parefront.hardware_profiles.measuring.cores import available_cores

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
CPUS = "sys/devices/system/cpu"
CPUFREQ = f"{CPUS}/cpu{available_cores()[0]}/cpufreq"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_times_of_cores_are_read_with_steal_apart(tmp_path: Path) -> None:
    #      user nice system idle iowait irq softirq steal guest
    stat = "cpu  9 9 9 9 9 9 9 9 9\ncpu0 100 20 30 999 999 4 5 7 8\ncpu12 1 0 0 0 0 0 0 0 0\nintr 5\n"
    found = read_conditions(write(tmp_path, {"proc/stat": stat}))
    assert found.busy_s == pytest.approx({0: 159 * TICK_S, 12: TICK_S})
    assert found.steal_s == pytest.approx({0: 7 * TICK_S, 12: 0})


def test_processes_are_read_by_name_without_this_one(tmp_path: Path) -> None:
    # From the third field on; the 14th and 15th are user and system time.
    fields = "S 1 1 1 0 -1 4194304 100 0 0 0 30 12 0 0 20 0 1 0 5 1000 10"
    files = {
        "proc/77/stat": f"77 (a b) c) {fields}",
        f"proc/{os.getpid()}/stat": f"{os.getpid()} (me) {fields}",
        "proc/78/cmdline": "ended",
    }
    assert read_conditions(write(tmp_path, files)).process_s == pytest.approx({"77 a b) c": 42 * TICK_S})


def test_load_and_governor_are_read(tmp_path: Path) -> None:
    files = {"proc/loadavg": "0.50 0.24 0.56 2/96 24251\n", f"{CPUFREQ}/scaling_governor": "powersave\n"}
    found = read_conditions(write(tmp_path, files))
    assert (found.load, found.governor) == (0.5, "powersave")


@pytest.mark.parametrize(
    ("file", "text", "is_on"),
    [
        ("intel_pstate/no_turbo", "0", True),
        ("intel_pstate/no_turbo", "1", False),
        ("cpufreq/boost", "1", True),
        ("cpufreq/boost", "0", False),
    ],
)
def test_turbo_is_read_of_either_maker(tmp_path: Path, file: str, text: str, is_on: bool) -> None:
    assert read_conditions(write(tmp_path, {f"{CPUS}/{file}": text})).is_turbo_on is is_on


def test_what_a_system_does_not_say_is_unknown(tmp_path: Path) -> None:
    found = read_conditions(tmp_path)
    assert (found.busy_s, found.process_s) == ({}, {})
    assert (found.load, found.governor, found.is_turbo_on, found.sibling_groups) == (None, None, None, None)


def test_conditions_survive_a_message() -> None:
    found = read_conditions()
    assert type(found).from_json(json.loads(json.dumps(found.to_json()))) == found
