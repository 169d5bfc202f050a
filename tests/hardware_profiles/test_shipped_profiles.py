import pytest

from parefront.hardware_profiles import load_profile, profile_names, runtime_facts, runtime_names


def test_every_runtime_has_a_profile() -> None:
    assert {load_profile(name).runtime.name for name in profile_names()} == set(runtime_names())


@pytest.mark.parametrize("name", profile_names())
def test_a_profile_has_its_files_name_and_says_what_it_is(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert profile.description
    assert profile.target.device == runtime_facts(profile.runtime.name).device


def test_batches_are_measured_as_throughput() -> None:
    for name in ("cpu-ort-1t-b8", "cpu-ort-2t-b8"):
        workload = load_profile(name).workload
        assert (workload.scenario, workload.batch_size) == ("throughput", 8)


def test_templates_are_marked() -> None:
    unmeasured = [name for name in profile_names() if not load_profile(name).is_measured]
    assert unmeasured == ["arm-board-ort", "cuda-ort", "cuda-torch"]
    board = load_profile("arm-board-ort")
    assert (board.target.architecture, board.host.command) == ("aarch64", ("ssh", "board", "parefront-meter"))
    assert board.fingerprint is None


def test_openvino_profiles_hold_one_choice_each() -> None:
    bits = {kind: load_profile(f"cpu-openvino-{kind}").capabilities.weight_bits for kind in ("fp32", "bf16", "int8")}
    assert bits == {"fp32": (32,), "bf16": (32, "bf16"), "int8": (32, 8)}
