import copy
import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, fx, nn

from parefront.hardware_profiles import (
    ExportError,
    PrecisionPlan,
    TensorQuantization,
    executed_precision,
    get_runtime,
)
from parefront.hardware_profiles.export.qdq import export_onnx
from parefront.hardware_profiles.runtimes.runtime import external_data

LAYERS = ("conv1", "conv2", "fc")


class Net(nn.Module):
    """Convolution, activation, convolution, residual addition, activation, pooling, linear layer."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.activation = activation
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        first = self.activation(self.conv1(x))
        total = self.relu(self.conv2(first) + first)
        out: Tensor = self.fc(torch.flatten(self.pool(total), 1))
        return out


def network(activation: nn.Module | None = None) -> fx.GraphModule:
    torch.manual_seed(0)
    return fx.symbolic_trace(Net(activation or nn.ReLU()).eval())


def unsigned(highest: float, lowest: float = 0.0) -> TensorQuantization:
    """Covers the range from lowest to highest with 256 levels, 0 among them."""
    scale = (highest - lowest) / 255
    return TensorQuantization(8, (scale,), (round(-lowest / scale),), axis=None, is_signed=False)


def weights_of(module: nn.Module, layer: str) -> TensorQuantization:
    weight = module.get_parameter(f"{layer}.weight").detach()
    scale = weight.flatten(1).abs().amax(1) / 127
    return TensorQuantization(8, tuple(scale.tolist()), (0,) * len(scale), axis=0, is_signed=True)


VALUES = {
    "conv1": ("x", "activation"),
    "conv2": ("activation", "conv2", "relu"),
    "fc": ("pool", "flatten"),
}


def plan_for(
    module: nn.Module, layers: tuple[str, ...] = LAYERS, changes: Mapping[str, TensorQuantization] | None = None
) -> PrecisionPlan:
    """The layers, what they read and hand on, and for conv2 the sum behind it, whose ReLU is the network's last."""
    values = {
        "x": unsigned(4.0, -4.0),
        "activation": unsigned(3.0),
        "conv2": unsigned(2.0, -2.0),
        "relu": unsigned(4.0),
        "pool": unsigned(1.0),
        "flatten": unsigned(1.0),
    }
    wanted = {name for layer in layers for name in VALUES[layer]}
    tensors = {f"{name}.value": tensor for name, tensor in values.items() if name in wanted}
    tensors |= {f"{layer}.weight": weights_of(module, layer) for layer in layers}
    return PrecisionPlan(tensors | dict(changes or {}))


def faked(tensor: Tensor, plan: PrecisionPlan, name: str) -> Tensor:
    """Quantises and dequantises, where the plan says so."""
    q = plan.tensors.get(name)
    if q is None:
        return tensor
    if q.axis is None:
        return torch.fake_quantize_per_tensor_affine(tensor, q.scale[0], q.zero_point[0], q.qmin, q.qmax)
    scale, zero_point = torch.tensor(q.scale), torch.tensor(q.zero_point, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(tensor, scale, zero_point, q.axis, q.qmin, q.qmax)


def simulated(module: nn.Module, x: Tensor, plan: PrecisionPlan) -> Tensor:
    """The same computation in torch, tensor by tensor."""
    net = copy.deepcopy(module)
    for layer in LAYERS:
        weight = net.get_parameter(f"{layer}.weight")
        weight.data = faked(weight.data, plan, f"{layer}.weight")
    parts = {name: net.get_submodule(name) for name in ("conv1", "conv2", "fc", "activation")}
    first = faked(parts["activation"](parts["conv1"](faked(x, plan, "x.value"))), plan, "activation.value")
    total = faked(torch.relu(faked(parts["conv2"](first), plan, "conv2.value") + first), plan, "relu.value")
    out: Tensor = parts["fc"](faked(total.mean((2, 3)), plan, "flatten.value"))
    return out.detach()


def exported(module: nn.Module, plan: PrecisionPlan, tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    export_onnx(module, (torch.zeros(1, 3, 16, 16),), plan, path)
    return path


def operators(path: Path) -> list[str]:
    inputs = np.zeros((1, 3, 16, 16), np.float32)
    return [time.operator for time in get_runtime("onnxruntime").profile_operators(path, inputs, 1, 2)]


@pytest.mark.parametrize("layers", [LAYERS, ("conv1",), ("conv2",), ("fc",), ("conv1", "conv2"), ()])
def test_planned_layers_execute_in_int8_and_only_those(layers: tuple[str, ...], tmp_path: Path) -> None:
    path = exported(module := network(), plan_for(module, layers), tmp_path)
    times = get_runtime("onnxruntime").profile_operators(path, np.zeros((1, 3, 16, 16), np.float32), 1, 2)

    found = executed_precision(times)

    assert found.int8_layers == layers
    assert found.float_layers == tuple(layer for layer in LAYERS if layer not in layers)


def test_additions_and_poolings_between_planned_layers_execute_in_int8_too(tmp_path: Path) -> None:
    found = operators(exported(module := network(), plan_for(module), tmp_path))

    assert {"QLinearConv", "QLinearAdd", "QLinearGlobalAveragePool", "QGemm"} <= set(found)
    # Into integers at the input and, in the last layer itself, out of them at the output, and nowhere else.
    assert (found.count("QuantizeLinear"), found.count("DequantizeLinear")) == (1, 0)
    assert not {"Conv", "Add", "Relu", "Clip", "Gemm"} & set(found)


@pytest.mark.parametrize("layers", [LAYERS, ("conv1",), ("conv2",), ("fc",)])
def test_outputs_agree_with_the_simulation(layers: tuple[str, ...], tmp_path: Path) -> None:
    module = network()
    plan = plan_for(module, layers)
    session = get_runtime("onnxruntime").open_session(exported(module, plan, tmp_path), 1)
    x = torch.randn(8, 3, 16, 16)

    found = session.run(x.numpy())

    # Roundings of halves may differ in each layer; a step of the last is 2 / 255.
    np.testing.assert_allclose(found, simulated(module, x, plan).numpy(), atol=3 * 2 / 255)
    assert np.abs(found - module(x).detach().numpy()).max() > 0  # It is not the float network that ran.


def test_a_relu6_within_its_range_is_absorbed(tmp_path: Path) -> None:
    module = network(nn.ReLU6())
    plan = plan_for(module, changes={"activation.value": unsigned(6.0)})

    found = operators(exported(module, plan, tmp_path))

    assert "Clip" not in found
    assert found.count("QLinearConv") == 2


def test_neutral_plans_change_nothing(tmp_path: Path) -> None:
    module = network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    session = get_runtime("onnxruntime").open_session(exported(module, PrecisionPlan.none(), tmp_path), 1)
    x = torch.randn(2, 3, 16, 16)

    np.testing.assert_allclose(session.run(x.numpy()), module(x).detach().numpy(), atol=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_the_file_names_its_layers_and_keeps_its_ends(tmp_path: Path) -> None:
    model = onnx.load(exported(module := network(), plan_for(module), tmp_path))

    assert [(p.key, json.loads(p.value)) for p in model.metadata_props] == [("parefront.layers", list(LAYERS))]
    assert [value.name for value in model.graph.input] == ["input"]
    assert [value.name for value in model.graph.output] == ["output"]
    assert model.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    names = [node.name for node in model.graph.node]
    assert {"conv1", "conv1/activation", "conv2", "fc"} <= set(names)
    # One pair for each value of the plan, however many read it.
    assert sum(node.op_type == "QuantizeLinear" for node in model.graph.node) == 6


def test_integers_take_a_quarter_of_the_space(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(64, 64, 3), nn.ReLU())
    plan = PrecisionPlan(
        {"0.weight": weights_of(module, "0"), "input_1.value": unsigned(1.0), "_1.value": unsigned(1.0)}
    )
    sizes = []
    for some_plan in (PrecisionPlan.none(), plan):
        export_onnx(module, (torch.zeros(1, 64, 8, 8),), some_plan, tmp_path / "model.onnx")
        sizes.append((tmp_path / "model.onnx").stat().st_size)

    # 64 * 64 * 9 weights save 3 bytes each; scales, zero points and nodes add a little.
    assert sizes[0] - sizes[1] == pytest.approx(3 * 64 * 64 * 9, rel=0.03)


def test_equal_parameters_of_two_layers_stay_apart(tmp_path: Path) -> None:
    module = network()
    with torch.no_grad():
        module.get_parameter("conv1.bias").zero_()
        extra = nn.Conv2d(16, 16, 3, padding=1)
        extra.weight.copy_(module.get_parameter("conv2.weight"))
        extra.bias.zero_()  # type: ignore[union-attr]
    twins = nn.Sequential(nn.Conv2d(3, 16, 1), nn.ReLU(), copy.deepcopy(extra), nn.ReLU(), extra)
    names = ("0", "2", "4")
    tensors = {f"{name}.weight": weights_of(twins, name) for name in names}
    tensors |= {"input_1.value": unsigned(1.0, -1.0), "_1.value": unsigned(1.0)}
    tensors |= {"_3.value": unsigned(2.0), "_4.value": unsigned(1.0, -1.0)}
    export_onnx(twins, (torch.zeros(1, 3, 16, 16),), PrecisionPlan(tensors), tmp_path / "model.onnx")

    assert operators(tmp_path / "model.onnx").count("QLinearConv") == 3


def test_a_linear_without_bias_or_on_more_dimensions_is_found(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(16, 8, bias=False), nn.ReLU(), nn.Linear(8, 8), nn.ReLU())
    tensors = {f"{name}.weight": weights_of(module, name) for name in ("0", "2")}
    tensors |= {"input_1.value": unsigned(1.0, -1.0), "_1.value": unsigned(1.0), "_3.value": unsigned(1.0)}
    export_onnx(module, (torch.zeros(1, 16),), PrecisionPlan(tensors), tmp_path / "flat.onnx")
    export_onnx(module, (torch.zeros(1, 4, 16),), PrecisionPlan(tensors), tmp_path / "deep.onnx")

    for name, shape in (("flat", (1, 16)), ("deep", (1, 4, 16))):
        inputs = np.full(shape, 0.5, np.float32)
        times = get_runtime("onnxruntime").profile_operators(tmp_path / f"{name}.onnx", inputs, 1, 2)
        assert executed_precision(times).int8_layers == ("0", "2")
        found = get_runtime("onnxruntime").open_session(tmp_path / f"{name}.onnx", 1).run(inputs)
        np.testing.assert_allclose(found, module(torch.from_numpy(inputs)).detach().numpy(), atol=0.02)


def test_a_bias_that_would_overflow_int32_keeps_its_value(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(4, 4, 1))
    with torch.no_grad():
        module.get_parameter("0.weight").zero_()
        module.get_parameter("0.bias").fill_(0.5)
    weight = TensorQuantization(8, (1e-12,) * 4, (0,) * 4, axis=0, is_signed=True)
    plan = PrecisionPlan({"0.weight": weight, "input_1.value": unsigned(1.0), "_0.value": unsigned(1.0)})
    export_onnx(module, (torch.zeros(1, 4, 8, 8),), plan, tmp_path / "model.onnx")

    found = get_runtime("onnxruntime").open_session(tmp_path / "model.onnx", 1).run(np.ones((1, 4, 8, 8), np.float32))

    np.testing.assert_allclose(found, 0.5, atol=1 / 255)


def test_sizes_that_a_network_asks_for_hold_nothing_in_float(tmp_path: Path) -> None:
    class Shuffled(nn.Module):
        """As in ShuffleNet: the channels of two groups interleaved, by the sizes of the tensor itself."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 16, 1), nn.Conv2d(16, 8, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            n, channels, height, width = x.size()
            x = x.view(n, 2, channels // 2, height, width).transpose(1, 2).reshape(n, -1, height, width)
            out: Tensor = self.second(x)
            return out

    module = fx.symbolic_trace(Shuffled().eval())
    tensors = {f"{name}.weight": weights_of(module, name) for name in ("first", "second")}
    tensors |= {f"{name}.value": unsigned(1.0, -1.0) for name in ("x", "first", "view", "transpose", "reshape")}
    export_onnx(
        module,
        (torch.zeros(2, 3, 6, 6),),
        PrecisionPlan(tensors | {"second.value": unsigned(1)}),
        path := tmp_path / "m.onnx",
    )

    inputs = np.random.default_rng(0).uniform(-1, 1, (5, 3, 6, 6)).astype(np.float32)
    found = [time.operator for time in get_runtime("onnxruntime").profile_operators(path, inputs, 1, 2)]
    assert (found.count("QuantizeLinear"), found.count("DequantizeLinear")) == (1, 1)
    assert get_runtime("onnxruntime").open_session(path, 1).run(inputs).shape == (5, 8, 6, 6)


def test_several_inputs_and_outputs_have_numbered_names_and_a_free_batch(tmp_path: Path) -> None:
    class Several(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> dict[str, Tensor | list[Tensor]]:
            return {"sum": x + y, "parts": [x * 2, y - 1]}

    export_onnx(Several(), (torch.zeros(2, 3), torch.zeros(2, 3)), PrecisionPlan.none(), tmp_path / "model.onnx")
    session = get_runtime("onnxruntime").open_session(tmp_path / "model.onnx", 1)
    x, y = np.ones((4, 3), np.float32), np.full((4, 3), 5, np.float32)

    assert [value.name for value in onnx.load(tmp_path / "model.onnx").graph.output] == [
        "output",
        "output_1",
        "output_2",
    ]
    assert [float(each[3, 2]) for each in session.run_all((x, y))] == [6.0, 2.0, 4.0]
    assert session.run((x, y)).shape == (4, 3)


def test_networks_too_large_for_one_file_keep_their_weights_beside_it(tmp_path: Path) -> None:
    module = network()
    path = tmp_path / "model.onnx"
    x = torch.randn(2, 3, 16, 16)
    results = []
    for limit in (1_000, 10**9):
        export_onnx(module, (x,), plan_for(module), path, largest_file_bytes=limit)
        results.append(get_runtime("onnxruntime").open_session(path, 1).run(x.numpy()))
        assert external_data(path).exists() is (limit == 1_000)

    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(("bits", "features"), [(8, 64), (4, 64), (4, 72)])
def test_weights_alone_in_few_bits_are_executed_so(bits: int, features: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(features, 8))
    # Blocks of 32, the last filled up; every weight is a step of 1 times an integer, so nothing is lost.
    half = 1 << (bits - 1)
    with torch.no_grad():
        module[0].weight.copy_(torch.randint(-half, half, (8, features)))
    scales = (1.0,) * (8 * -(-features // 32))
    weight = TensorQuantization(bits, scales, (0,), axis=0, is_signed=True, block_size=32)
    export_onnx(module, (torch.zeros(2, features),), PrecisionPlan({"0.weight": weight}), tmp_path / "model.onnx")
    inputs = np.sign(np.random.default_rng(0).standard_normal((3, features))).astype(np.float32)

    times = get_runtime("onnxruntime").profile_operators(tmp_path / "model.onnx", inputs, 1, 2)
    found = get_runtime("onnxruntime").open_session(tmp_path / "model.onnx", 1).run(inputs)

    assert executed_precision(times).weight_only_layers == ("0",)
    # Accuracy level 4 rounds the inputs to 8 bits of their block's largest, here exactly.
    np.testing.assert_allclose(found, module(torch.from_numpy(inputs)).detach().numpy(), rtol=1e-4, atol=1e-3)


WIDE = unsigned(7.0)
SIGNED = TensorQuantization(8, (0.1,), (0,), axis=None, is_signed=True)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"conv3.weight": SIGNED}, "unknown layer 'conv3': known layers are conv"),
        ({"conv3.value": unsigned(1.0)}, "unknown value 'conv3': known values are conv"),
        ({"x.value": SIGNED}, "'x.value' must have 8 bits, unsigned"),
        ({"conv1.weight": unsigned(1.0)}, "'conv1.weight' must have 8 bits, signed, axis 0"),
        ({"fc.weight": TensorQuantization(8, (0.1,) * 4, (0,) * 4, 0, True)}, r"per output channel \(5\), got 4"),
        (
            {"fc.weight": TensorQuantization(8, (0.1,) * 5, (1,) * 5, 0, True)},
            "zero points of 0, got 8, signed, axis 0, 1",
        ),
        ({"fc.weight": TensorQuantization(4, (0.1,) * 6, (0,), 0, True, 16)}, r"one scale per block \(5\), got 6"),
        ({"conv1.weight": TensorQuantization(4, (0.1,), (0,), 0, True, 16)}, "must be of one of Linear, got Conv2d"),
        ({"activation.weight": SIGNED}, "must be of one of Conv1d, Conv2d, Conv3d, Linear, got ReLU6"),
        ({"activation.value": WIDE}, r"'activation.value' must have a range within .* 0..6, got 0..7"),
        ({"activation.value": unsigned(3.0, -1.0)}, "'activation.value' must have a range within"),
    ],
)
def test_impossible_plans_are_refused(changes: dict[str, TensorQuantization], rule: str, tmp_path: Path) -> None:
    module = network(nn.ReLU6())
    with pytest.raises(ExportError, match=rule) as error:
        exported(module, plan_for(module, changes=changes), tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("layer", "missing"), [("conv1", "input (x)"), ("conv1", "output (activation)"), ("fc", "input (flatten)")]
)
def test_an_int8_layer_must_be_quantised_all_around(layer: str, missing: str, tmp_path: Path) -> None:
    module = network()
    tensors = dict(plan_for(module, (layer,)).tensors)
    del tensors[f"{missing.partition('(')[2].removesuffix(')')}.value"]
    with pytest.raises(ExportError, match=re.escape(f"got no {missing} for '{layer}'")):
        exported(module, PrecisionPlan(tensors), tmp_path)


def test_a_layer_used_twice_cannot_be_planned_but_runs_in_float(tmp_path: Path) -> None:
    conv = nn.Conv2d(3, 3, 3, padding=1)
    module = nn.Sequential(conv, nn.ReLU(), conv)
    path = exported(module, PrecisionPlan.none(), tmp_path)
    onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    plan = PrecisionPlan({"0.weight": weights_of(module, "0"), "input_1.value": unsigned(1.0)})
    with pytest.raises(ExportError, match="must be used exactly once"):
        exported(module, plan, tmp_path)


def test_networks_that_cannot_be_exported_are_refused(tmp_path: Path) -> None:
    class Unexportable(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = torch.linalg.matrix_exp(x)
            return result

    with pytest.raises(ExportError, match="must be exportable to ONNX"):
        export_onnx(Unexportable(), (torch.zeros(1, 3, 3),), PrecisionPlan.none(), tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()
