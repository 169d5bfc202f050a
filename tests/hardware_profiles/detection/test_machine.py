"""What is read of a machine, from folders that look like /sys and /proc."""

from pathlib import Path

import pytest

from parefront.hardware_profiles.detection.machine import (
    Cache,
    parse_cores,
    read_caches,
    read_machine,
    read_memory_bytes,
    sibling_groups,
)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("text", "cores"),
    [("0", (0,)), ("0-3\n", (0, 1, 2, 3)), ("0,32", (0, 32)), ("1-2,5,8-9", (1, 2, 5, 8, 9))],
)
def test_lists_of_cores_as_the_kernel_writes_them(text: str, cores: tuple[int, ...]) -> None:
    assert parse_cores(text) == cores


def test_siblings_share_a_physical_core(tmp_path: Path) -> None:
    topology = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    root = write(tmp_path, {topology.format(0): "0,2\n", topology.format(1): "1\n", topology.format(2): "0,2\n"})
    assert sibling_groups((0, 1, 2), root) == ((0, 2),)
    assert sibling_groups((1,), root) == ()
    assert sibling_groups((0, 7), root) is None  # the system does not say it of core 7


def test_caches_are_read_with_their_sizes(tmp_path: Path) -> None:
    folder = "sys/devices/system/cpu/cpu3/cache"
    files = {
        f"{folder}/index0/level": "1",
        f"{folder}/index0/type": "Data",
        f"{folder}/index0/size": "48K",
        f"{folder}/index0/shared_cpu_list": "3",
        f"{folder}/index1/level": "3",
        f"{folder}/index1/type": "Unified",
        f"{folder}/index1/size": "2M",
        f"{folder}/index1/shared_cpu_list": "0-3",
        f"{folder}/index2/level": "4",  # Incomplete: left out rather than guessed.
    }
    assert read_caches(3, write(tmp_path, files)) == (
        Cache(1, "data", 48 * 1024, 1),
        Cache(3, "unified", 2 * 1024 * 1024, 4),
    )
    assert read_caches(0, tmp_path) == ()


def test_memory_is_read_or_unknown(tmp_path: Path) -> None:
    assert read_memory_bytes(tmp_path) is None
    assert read_memory_bytes(write(tmp_path, {"proc/meminfo": "MemTotal:  4 kB\nMemFree: 1 kB\n"})) == 4096


def test_what_a_system_does_not_say_is_unknown(tmp_path: Path) -> None:
    machine = read_machine(tmp_path)
    assert (machine.sibling_groups, machine.caches, machine.memory_bytes) == (None, (), None)
    assert not machine.has_energy_counter
    assert machine.cores
    assert machine.cpu_model
