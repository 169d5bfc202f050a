import dataclasses

import pytest

from parefront.hardware_profiles import (
    Fingerprint,
    HardwareProfile,
    ProfileError,
    check_host,
    check_machine,
    fingerprint,
    load_profile,
)

MACHINE = Fingerprint(
    cpu_model="Some Processor",
    isa_flags=("avx2", "fma"),
    n_cores=2,
    system="Linux 6.1 x86_64",
    python="3.11",
    runtime="onnxruntime 1.31",
    numpy="2.4",
)


def profile(**changes: object) -> HardwareProfile:
    content = load_profile("cpu-ort-1t").model_dump()
    return HardwareProfile.model_validate({**content, **changes})


def test_this_machine_passes() -> None:
    check_host(profile())
    check_host(profile(fingerprint=fingerprint(profile()).key))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"runtime": {"name": "onnxruntime", "threads": 3}}, r"more threads than the 2 core\(s\) available, got 3"),
        ({"target": {"architecture": "aarch64"}}, "architecture 'aarch64', got 'x86_64'"),
        ({"target": {"requires": ["avx2", "amx_tile"]}}, "needs a processor with amx_tile"),
        ({"fingerprint": "0" * 16}, f"written for machine 0000000000000000, got {MACHINE.key}"),
    ],
)
def test_another_machine_is_refused_in_one_line(changes: dict[str, object], expected: str) -> None:
    with pytest.raises(ProfileError, match=expected) as error:
        check_machine(profile(**changes), MACHINE, n_cores=2)
    assert "\n" not in str(error.value)


def test_a_machine_with_all_that_is_asked_for_passes() -> None:
    target = {"architecture": "x86_64", "requires": ["avx2"]}
    check_machine(profile(target=target, fingerprint=MACHINE.key), MACHINE, n_cores=1)


def test_a_newer_runtime_is_another_machine() -> None:
    newer = dataclasses.replace(MACHINE, runtime="onnxruntime 1.32")
    with pytest.raises(ProfileError, match="hardware detect"):
        check_machine(profile(fingerprint=MACHINE.key), newer, n_cores=2)


def test_a_profile_of_a_machine_elsewhere_is_not_checked_here() -> None:
    check_host(profile(host={"address": "board:7000"}, target={"architecture": "aarch64"}, fingerprint="0" * 16))
