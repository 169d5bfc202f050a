"""What can be used here, and what is missing for the rest."""

from collections.abc import Iterator

import pytest

from parefront.hardware_profiles import Capabilities, HardwareProfile, Host, ProfileError, RuntimeSettings, Target
from parefront.hardware_profiles.detection import availability as module
from parefront.hardware_profiles.detection.availability import find_runtime, find_runtimes, missing_here
from parefront.hardware_profiles.measuring.cores import available_cores
from parefront.hardware_profiles.runtimes import runtime_names


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """What was found holds for the life of a process, but not from test to test."""
    find_runtime.cache_clear()
    yield
    find_runtime.cache_clear()


class Installed:
    version = "1.2"


def refuse(name: str) -> None:
    raise ProfileError(f"{name} must have a compiler, got none: install gcc")


def profile(**changes: object) -> HardwareProfile:
    fields: dict[str, object] = {
        "schema_version": 1,
        "name": "x",
        "runtime": RuntimeSettings(name="onnxruntime", threads=1),
        "capabilities": Capabilities(weight_bits=(32,)),
    }
    return HardwareProfile.model_validate({**fields, **changes})


def test_every_runtime_is_named_and_onnx_runtime_is_there() -> None:
    found = {each.name: each for each in find_runtimes()}
    assert tuple(found) == runtime_names()
    assert found["onnxruntime"].version
    assert found["onnxruntime"].missing == ""
    assert all(bool(each.version) is not bool(each.missing) for each in found.values())


def test_a_runtime_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "get_runtime", refuse)
    assert find_runtime("openvino").missing == "needs openvino: pip install 'parefront[openvino]'"


def test_a_runtime_without_its_device_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "get_runtime", lambda name: Installed)
    monkeypatch.setattr(module, "check_runtime", refuse)
    assert find_runtime("torch-cuda").missing == "needs a CUDA device"
    assert find_runtime("torch-compile").missing == "torch-compile must have a compiler, got none: install gcc"


def test_an_unknown_runtime_is_refused() -> None:
    with pytest.raises(ProfileError, match="unknown runtime 'ncnn'"):
        find_runtime("ncnn")


def test_nothing_is_missing_for_a_profile_that_can_be_used() -> None:
    assert missing_here(profile()) == ()


def test_all_that_a_profile_lacks_here_is_named() -> None:
    n_cores = len(available_cores())
    lacking = profile(
        is_measured=False,
        target=Target(requires=("no_such_set",)),
        runtime=RuntimeSettings(name="onnxruntime", threads=n_cores + 1),
    )
    assert missing_here(lacking) == (
        "template, not measured",
        "needs a processor with no_such_set",
        f"needs {n_cores + 1} cores, {n_cores} here",
    )


def test_on_another_architecture_nothing_else_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    other = profile(target=Target(architecture="aarch64", requires=("i8mm",)))
    assert missing_here(other) == ("needs aarch64",)


def test_a_profile_of_another_machine_is_not_looked_into() -> None:
    remote = profile(host=Host(command=("ssh", "board", "parefront-meter")), target=Target(architecture="aarch64"))
    assert missing_here(remote) == ()
