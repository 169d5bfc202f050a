import sys

import pytest

from parefront.hardware_profiles import (
    OperatorTime,
    ProfileError,
    executed_precision,
    get_runtime,
    runtime_facts,
    runtime_names,
    runtimes,
)
from parefront.hardware_profiles.runtimes import BITS, WEIGHT_ONLY_BITS


def test_layers_are_sorted_by_what_their_multiplications_ran_in() -> None:
    times = [
        OperatorTime(None, "QuantizeLinear", "", 1.0),
        OperatorTime("conv2", "QLinearConv", "int8", 5.0),
        OperatorTime("conv2", "DequantizeLinear", "", 1.0),
        OperatorTime("conv1", "Conv", "fp32", 9.0),
        OperatorTime("mixed", "QLinearConv", "int8", 5.0),
        OperatorTime("mixed", "Conv", "fp32", 9.0),
        OperatorTime("pool", "QLinearGlobalAveragePool", "", 1.0),
        OperatorTime("fc", "QGemm", "int8", 2.0),
        OperatorTime("brain", "Convolution", "bf16", 2.0),
        OperatorTime("half", "Convolution", "fp16", 2.0),
        OperatorTime("stored", "MatMulNBits", "", 2.0),
        OperatorTime("stored", "Add", "", 1.0),
        OperatorTime("packed", "FullyConnectedCompressed", "", 1.0),
    ]

    found = executed_precision(times)

    assert found.int8_layers == ("conv2", "fc")
    assert found.float_layers == ("conv1", "mixed")
    assert found.bf16_layers == ("brain",)
    assert found.fp16_layers == ("half",)
    assert found.weight_only_layers == ("stored", "packed")


def test_the_registry_gives_runtimes_by_name() -> None:
    assert runtime_names() == (
        *("onnxruntime", "onnxruntime-cuda", "openvino"),
        *("torch", "torch-compile", "torch-cuda"),
    )
    assert get_runtime("onnxruntime").name == "onnxruntime"
    with pytest.raises(ProfileError, match="unknown runtime 'onnx': known runtimes are onnxruntime, "):
        get_runtime("onnx")
    with pytest.raises(ProfileError, match="unknown runtime 'onnx'"):
        runtime_facts("onnx")


@pytest.mark.parametrize("name", runtime_names())
def test_what_is_known_of_a_runtime_is_in_order(name: str) -> None:
    facts = runtime_facts(name)
    assert facts.name == name
    assert facts.weight_bits[0] == 32
    assert facts.weight_bits == tuple(bits for bits in BITS if bits in facts.weight_bits)
    assert facts.weight_only_bits == tuple(bits for bits in WEIGHT_ONLY_BITS if bits in facts.weight_only_bits)


def test_a_runtime_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for module in ("onnxruntime_cpu", "onnx_session"):
        monkeypatch.delitem(sys.modules, f"{runtimes.__name__}.{module}", raising=False)
    with pytest.raises(
        ProfileError, match="runtime 'onnxruntime' must be installed, but 'onnxruntime' is missing: pip"
    ):
        get_runtime("onnxruntime")
