from typing import Any

import pytest

from parefront.hardware_profiles import OperatorTime
from parefront.hardware_profiles.runtimes.onnx_operators import operator_times


def event(name: str, operator: str, microseconds: float, *types: str) -> dict[str, Any]:
    shapes = [{kind: [1, 3]} for kind in types]
    arguments = {"op_name": operator, "input_type_shape": shapes}
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": microseconds, "args": arguments}


def test_times_are_medians_over_the_runs_behind_the_warm_up() -> None:
    runs = [[event("conv1", "Conv", us), event("pool", "MaxPool", 1.0)] for us in (100.0, 7.0, 5.0, 9.0)]
    other = {"cat": "Session", "name": "model_run", "dur": 50.0, "args": {}}

    found = operator_times([other, *(each for run in runs for each in run)], ["conv1"], n_warmup=1, n_runs=4)

    assert found == (OperatorTime("conv1", "Conv", "fp32", 7.0), OperatorTime(None, "MaxPool", "", 1.0))


@pytest.mark.parametrize(
    ("operator", "types", "precision"),
    [
        ("Conv", ("float", "float"), "fp32"),
        ("Conv", ("float16", "float16"), "fp16"),
        ("Gemm", ("bfloat16", "bfloat16"), "bf16"),
        ("QLinearConv", ("uint8", "float"), "int8"),
        ("DynamicQuantizeMatMul", ("float", "int8"), "int8"),
        ("MatMulNBits", ("float", "uint8"), ""),
        ("QLinearAdd", ("uint8", "float"), ""),
        ("Conv", ("double", "double"), ""),
    ],
)
def test_what_multiplies_has_the_precision_of_what_it_reads(
    operator: str, types: tuple[str, ...], precision: str
) -> None:
    (found,) = operator_times([event("conv1", operator, 1.0, *types)], ["conv1"], n_warmup=0, n_runs=1)
    assert found.precision == precision


def test_a_gemm_fused_with_its_activation_keeps_its_layer() -> None:
    (found,) = operator_times([event("fused fc", "FusedGemm", 1.0, "float")], ["fc"], n_warmup=0, n_runs=1)
    assert found.layer == "fc"
