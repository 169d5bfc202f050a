import platform

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from parefront.hardware_profiles import TensorQuantization
from parefront.hardware_profiles.export.integer_arithmetic import IntegerProduct, IntegerSum

is_x86 = platform.machine() in ("x86_64", "AMD64")
Quantizations = tuple[TensorQuantization, TensorQuantization, TensorQuantization]


def unsigned(scale: float, zero_point: int = 0) -> TensorQuantization:
    return TensorQuantization(8, (scale,), (zero_point,), axis=None, is_signed=False)


def test_a_sum_is_counted_in_steps_of_the_output() -> None:
    # 2 steps of .5 and -3 of .25 are .25: one step of .25.
    add = IntegerSum(unsigned(0.5, 7), unsigned(0.25, 9), unsigned(0.25, 4))
    assert add(torch.tensor([1.0, -0.5]), torch.tensor([-0.75, 0.25])).tolist() == [1.0, -1.0]


def test_a_product_is_counted_in_steps_of_the_output() -> None:
    # 1.5 * -.5 is -.75: three steps of .25 below zero.
    multiply = IntegerProduct(unsigned(0.5, 7), unsigned(0.25, 9), unsigned(0.25, 4))
    assert multiply(torch.tensor([1.5, 1.0]), torch.tensor([-0.5, 0.0])).tolist() == [-3.0, 0.0]


@pytest.mark.parametrize(("zero_point", "steps"), [(0, 0.0), (1, 1.0), (2, 0.0)])
def test_a_half_goes_to_the_even_integer_not_to_the_even_step(zero_point: int, steps: float) -> None:
    # Half a step on top of the zero point: .5 is 0, 1.5 is 2, 2.5 is 2.
    half = (unsigned(0.5), unsigned(0.5), unsigned(0.5, zero_point))
    assert IntegerProduct(*half)(torch.tensor(0.5), torch.tensor(0.5)) == steps
    assert (
        IntegerSum(unsigned(0.25), unsigned(0.5), unsigned(0.5, zero_point))(torch.tensor(0.25), 0 * torch.ones(1))
        == steps
    )


def test_the_smaller_input_is_repeated() -> None:
    # As in squeeze-and-excite: (n, c, h, w) by (n, c, 1, 1).
    multiply = IntegerProduct(unsigned(1.0), unsigned(1.0), unsigned(1.0))
    product = multiply(torch.full((1, 2, 3, 3), 2.0), torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1))
    assert product[0, :, 2, 2].tolist() == [6.0, 8.0]


def drawn(n: int) -> list[Quantizations]:
    random = np.random.default_rng(0)
    found = []
    for _ in range(n):
        one, other = np.exp(random.uniform(-6, 0, 2))
        result = (one + other) * random.uniform(0.3, 1.2)
        zero_points = random.integers(0, 256, 3)
        scales = (np.float32(scale) for scale in (one, other, result))
        found.append(tuple(unsigned(float(s), int(z)) for s, z in zip(scales, zero_points, strict=True)))
    return found  # type: ignore[return-value]  # three each


def runtime_gives(operator: str, quantizations: Quantizations, one: Tensor, other: Tensor) -> Tensor:
    """What ONNX Runtime's kernel gives for two tensors of uint8."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="the kernels are ONNX Runtime's")
    names = [f"{kind}{i}" for i in range(3) for kind in ("scale", "zero")]
    numbers = [n for q in quantizations for n in (np.float32(q.scale[0]), np.uint8(q.zero_point[0]))]
    constants = [numpy_helper.from_array(np.array(n), name) for n, name in zip(numbers, names, strict=True)]
    inputs = ["one", *names[:2], "other", *names[2:]]
    node = helper.make_node(operator, inputs, ["result"], domain="com.microsoft")
    values = [helper.make_tensor_value_info(each, TensorProto.UINT8, [None]) for each in ("one", "other", "result")]
    graph = helper.make_graph([node], "graph", values[:2], values[2:], constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"one": one.numpy(), "other": other.numpy()})[0])


@pytest.mark.skipif(not is_x86, reason="other processors' kernels add in another order")
@pytest.mark.parametrize(("operator", "kind"), [("QLinearAdd", IntegerSum), ("QLinearMul", IntegerProduct)])
@pytest.mark.parametrize("quantizations", drawn(25))
def test_all_pairs_of_integers_give_what_the_runtime_gives(
    operator: str, kind: type[IntegerSum] | type[IntegerProduct], quantizations: Quantizations
) -> None:
    pairs = torch.cartesian_prod(torch.arange(256), torch.arange(256)).to(torch.uint8)
    one, other = pairs[:, 0].contiguous(), pairs[:, 1].contiguous()
    values = [
        (integers.float() - q.zero_point[0]) * torch.tensor(q.scale[0])
        for integers, q in zip((one, other), quantizations[:2], strict=True)
    ]
    expected = runtime_gives(operator, quantizations, one, other)
    integers = (kind(*quantizations)(*values) + quantizations[2].zero_point[0]).clamp(0, 255)
    assert torch.equal(integers.to(torch.uint8), expected)
