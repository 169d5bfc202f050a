import copy
import json
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
from parefront.hardware_profiles.qdq import export_onnx

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


def plan_for(
    module: nn.Module, layers: tuple[str, ...] = LAYERS, changes: Mapping[str, TensorQuantization] | None = None
) -> PrecisionPlan:
    activations = {
        "conv1.input": unsigned(4.0, -4.0),
        "conv1.output": unsigned(3.0),
        "conv2.input": unsigned(3.0),
        "conv2.output": unsigned(2.0, -2.0),
        "conv2.merged": unsigned(4.0),
        "fc.input": unsigned(1.0),
        "fc.output": unsigned(1.0, -1.0),
    }
    tensors = {name: tensor for name, tensor in activations.items() if name.rpartition(".")[0] in layers}
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
    first = parts["activation"](parts["conv1"](faked(x, plan, "conv1.input")))
    first = faked(faked(first, plan, "conv1.output"), plan, "conv2.input")
    total = faked(torch.relu(faked(parts["conv2"](first), plan, "conv2.output") + first), plan, "conv2.merged")
    out: Tensor = faked(parts["fc"](faked(total.mean((2, 3)), plan, "fc.input")), plan, "fc.output")
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
    # Into integers at the input and out of them at the output, and nowhere else.
    assert (found.count("QuantizeLinear"), found.count("DequantizeLinear")) == (1, 1)
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
    plan = plan_for(module, changes={"conv1.output": unsigned(6.0), "conv2.input": unsigned(6.0)})

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
    # One pair for the tensor that both conv2 and the addition read.
    assert sum(node.op_type == "QuantizeLinear" for node in model.graph.node) == 7


def test_integers_take_a_quarter_of_the_space(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(64, 64, 3), nn.ReLU())
    plan = PrecisionPlan({"0.weight": weights_of(module, "0"), "0.input": unsigned(1.0), "0.output": unsigned(1.0)})
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
    tensors |= {"0.input": unsigned(1.0, -1.0), "0.output": unsigned(1.0), "2.input": unsigned(1.0)}
    tensors |= {"2.output": unsigned(2.0), "4.input": unsigned(2.0), "4.output": unsigned(1.0, -1.0)}
    export_onnx(twins, (torch.zeros(1, 3, 16, 16),), PrecisionPlan(tensors), tmp_path / "model.onnx")

    assert operators(tmp_path / "model.onnx").count("QLinearConv") == 3


def test_a_linear_without_bias_or_on_more_dimensions_is_found(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(16, 8, bias=False), nn.ReLU(), nn.Linear(8, 8), nn.ReLU())
    tensors = {f"{name}.weight": weights_of(module, name) for name in ("0", "2")}
    tensors |= {"0.input": unsigned(1.0, -1.0), "0.output": unsigned(1.0), "2.input": unsigned(1.0)}
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
    plan = PrecisionPlan({"0.weight": weight, "0.input": unsigned(1.0), "0.output": unsigned(1.0)})
    export_onnx(module, (torch.zeros(1, 4, 8, 8),), plan, tmp_path / "model.onnx")

    found = get_runtime("onnxruntime").open_session(tmp_path / "model.onnx", 1).run(np.ones((1, 4, 8, 8), np.float32))

    np.testing.assert_allclose(found, 0.5, atol=1 / 255)


WIDE = unsigned(7.0)
SIGNED = TensorQuantization(8, (0.1,), (0,), axis=None, is_signed=True)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"conv2.input": unsigned(2.5)}, "'conv1.output' and 'conv2.input' are one tensor"),
        ({"conv3.weight": SIGNED}, "unknown layer 'conv3': known layers are conv"),
        ({"conv1.input": SIGNED}, "'conv1.input' must have 8 bits, unsigned"),
        ({"conv1.weight": unsigned(1.0)}, "'conv1.weight' must have 8 bits, signed, axis 0"),
        ({"fc.weight": TensorQuantization(8, (0.1,) * 4, (0,) * 4, 0, True)}, r"per output channel \(5\), got 4"),
        ({"fc.weight": TensorQuantization(8, (0.1,) * 5, (1,) * 5, 0, True)}, "zero points of 0, got 1"),
        ({"conv1.output": WIDE, "conv2.input": WIDE}, r"'conv1.output' must have a range within .* 0..6, got 0..7"),
        ({"conv1.output": unsigned(3.0, -1.0)}, "'conv1.output' must have a range within"),
        ({"conv1.merged": unsigned(3.0)}, "'conv1.merged' must mean the sum of an addition"),
    ],
)
def test_impossible_plans_are_refused(changes: dict[str, TensorQuantization], rule: str, tmp_path: Path) -> None:
    module = network(nn.ReLU6())
    with pytest.raises(ExportError, match=rule) as error:
        exported(module, plan_for(module, changes=changes), tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("layer", "missing"), [("conv1", "input"), ("conv1", "output"), ("fc", "input")])
def test_an_int8_layer_must_be_quantised_all_around(layer: str, missing: str, tmp_path: Path) -> None:
    module = network()
    tensors = dict(plan_for(module).tensors)
    del tensors[f"{layer}.{missing}"]
    with pytest.raises(ExportError, match=f"got no {missing} for '{layer}'"):
        exported(module, PrecisionPlan(tensors), tmp_path)


def test_a_layer_used_twice_cannot_be_planned_but_runs_in_float(tmp_path: Path) -> None:
    conv = nn.Conv2d(3, 3, 3, padding=1)
    module = nn.Sequential(conv, nn.ReLU(), conv)
    path = exported(module, PrecisionPlan.none(), tmp_path)
    onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    plan = PrecisionPlan({"0.weight": weights_of(module, "0"), "0.input": unsigned(1.0), "0.output": unsigned(1.0)})
    with pytest.raises(ExportError, match="must be used exactly once"):
        exported(module, plan, tmp_path)


def test_networks_that_cannot_be_exported_are_refused(tmp_path: Path) -> None:
    class Unexportable(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = torch.linalg.matrix_exp(x)
            return result

    class TwoOutputs(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x + 1, x * 2

    with pytest.raises(ExportError, match="must be exportable to ONNX"):
        export_onnx(Unexportable(), (torch.zeros(1, 3, 3),), PrecisionPlan.none(), tmp_path / "model.onnx")
    with pytest.raises(ExportError, match="must return one tensor"):
        export_onnx(TwoOutputs(), (torch.zeros(1, 3),), PrecisionPlan.none(), tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()
