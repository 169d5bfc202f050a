import sys

import pytest

from parefront.hardware_profiles import (
    OperatorTime,
    ProfileError,
    executed_precision,
    get_runtime,
    runtime_names,
    runtimes,
)


def test_layers_are_sorted_by_what_their_multiplications_ran_in() -> None:
    times = [
        OperatorTime(None, "QuantizeLinear", False, 1.0),
        OperatorTime("conv2", "QLinearConv", True, 5.0),
        OperatorTime("conv2", "DequantizeLinear", False, 1.0),
        OperatorTime("conv1", "Conv", False, 9.0),
        OperatorTime("mixed", "QLinearConv", True, 5.0),
        OperatorTime("mixed", "Conv", False, 9.0),
        OperatorTime("pool", "QLinearGlobalAveragePool", True, 1.0),
        OperatorTime("fc", "QGemm", True, 2.0),
        OperatorTime("stored", "MatMulNBits", False, 2.0),
        OperatorTime("stored", "Add", False, 1.0),
    ]

    found = executed_precision(times)

    assert found.int8_layers == ("conv2", "fc")
    assert found.float_layers == ("conv1", "mixed")
    assert found.weight_only_layers == ("stored",)


def test_the_registry_gives_runtimes_by_name() -> None:
    assert runtime_names() == ("onnxruntime",)
    assert get_runtime("onnxruntime").name == "onnxruntime"
    with pytest.raises(ProfileError, match="unknown runtime 'onnx': the only known runtime is onnxruntime"):
        get_runtime("onnx")


def test_a_runtime_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, f"{runtimes.__name__}.onnxruntime_cpu", raising=False)
    with pytest.raises(ProfileError, match="runtime 'onnxruntime' must be installed, but 'onnxruntime' is missing"):
        get_runtime("onnxruntime")
