"""Layers in half precision in exported files; `test_qdq.py` has the other precisions."""

from collections.abc import Callable, Iterable
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto
from torch import Tensor, fx, nn

from parefront.hardware_profiles import ExportError, PrecisionPlan, TensorQuantization, executed_precision, get_runtime
from parefront.hardware_profiles.export.lowering import lower
from parefront.hardware_profiles.export.qdq import export_onnx
from parefront.hardware_profiles.precision import HALVES, Half

NeedsHalves = Callable[[Iterable[object]], None]
TYPES = {"bf16": TensorProto.BFLOAT16, "fp16": TensorProto.FLOAT16}
LAYERS = ("stem", "left", "right", "up", "head")


class Net(nn.Module):
    """Every kind of layer, and between them what runtimes execute in half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.left, self.right = nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.Conv2d(16, 16, 1, bias=False)
        self.up, self.head = nn.ConvTranspose2d(16, 16, 2, 2), nn.Linear(16, 4)
        self.pool, self.swish, self.relu6 = nn.AdaptiveAvgPool2d(1), nn.Hardswish(), nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu6(self.stem(x))
        x = torch.relu(self.up(self.swish(self.left(x)) + self.right(x)))
        out: Tensor = self.head(torch.flatten(self.pool(x), 1))
        return out


def network() -> fx.GraphModule:
    torch.manual_seed(0)
    return fx.symbolic_trace(Net().eval())


def exported(module: nn.Module, plan: PrecisionPlan, path: Path) -> onnx.ModelProto:
    export_onnx(module, (torch.zeros(2, 3, 16, 16),), plan, path)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)  # infers every type, which must be one that the operator takes
    return model


@pytest.mark.parametrize("half", HALVES)
def test_a_network_in_half_is_cast_at_its_ends_only(half: Half, tmp_path: Path) -> None:
    model = exported(network(), PrecisionPlan(halves=dict.fromkeys(LAYERS, half)), tmp_path / "model.onnx")
    casts = [node for node in model.graph.node if node.op_type == "Cast"]
    assert [(node.input[0], node.attribute[0].i) for node in casts[:1]] == [("input", TYPES[half])]
    assert [(node.output[0], node.attribute[0].i) for node in casts[1:]] == [("output", TensorProto.FLOAT)]
    stored = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert {f"{layer}.weight" for layer in LAYERS} <= set(stored)
    assert set(stored.values()) == {TYPES[half]}
    assert [port.type.tensor_type.elem_type for port in (*model.graph.input, *model.graph.output)] == [
        TensorProto.FLOAT
    ] * 2


@pytest.mark.parametrize(("half", "opset"), [("bf16", 22), ("fp16", 17)])
def test_the_operators_are_of_a_version_that_takes_the_type(half: Half, opset: int, tmp_path: Path) -> None:
    model = exported(network(), PrecisionPlan(halves={"left": half}), tmp_path / "model.onnx")
    assert [each.version for each in model.opset_import if not each.domain] == [opset]


@pytest.mark.parametrize("half", HALVES)
def test_halves_take_half_of_the_space(half: Half, tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(3, 256, 1), nn.Conv2d(256, 256, 3))
    sizes = []
    for plan in (PrecisionPlan.none(), PrecisionPlan(halves={"1": half})):
        exported(module, plan, tmp_path / "model.onnx")
        sizes.append((tmp_path / "model.onnx").stat().st_size)
    # 256 * 256 * 9 weights and 256 biases save 2 bytes each; two casts and their names are a little.
    assert sizes[0] - sizes[1] == pytest.approx(2 * (256 * 256 * 9 + 256), abs=1_000)


MIXED: list[dict[str, Half]] = [
    dict.fromkeys(LAYERS, "bf16"),
    dict.fromkeys(LAYERS, "fp16"),
    {"stem": "bf16", "right": "fp16", "head": "bf16"},
    {"left": "fp16", "right": "fp16", "up": "bf16", "head": "fp16"},
]


@pytest.mark.parametrize("halves", MIXED)
def test_each_layer_executes_in_its_type_and_agrees_with_the_simulation(
    halves: dict[str, Half], tmp_path: Path, needs_halves: NeedsHalves
) -> None:
    pytest.importorskip("openvino", reason="only OpenVINO executes half precision on a CPU")
    needs_halves(halves.values())
    module, plan, path = network(), PrecisionPlan(halves=halves), tmp_path / "model.onnx"
    exported(module, plan, path)
    x = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    runtime = get_runtime("openvino")
    found = executed_precision(runtime.profile_operators(path, x.numpy(), 1, 1))
    for half, layers in (("bf16", found.bf16_layers), ("fp16", found.fp16_layers)):
        assert set(layers) == {layer for layer, planned in halves.items() if planned == half}
    assert set(found.float_layers) == set(LAYERS) - set(halves)
    with torch.no_grad():
        expected, in_float = lower(module, plan)(x), module(x)
    actual = torch.from_numpy(runtime.open_session(path, 1).run(x.numpy()))
    # A value may be rounded twice where the other rounds once: two units in the last place, of the largest.
    unit = float(expected.abs().max()) * (2.0**-8 if "bf16" in halves.values() else 2.0**-11)
    torch.testing.assert_close(actual, expected, rtol=0, atol=2 * unit)
    assert not torch.equal(expected, in_float)


@pytest.mark.parametrize("halves", [{"0": "bf16", "2": "bf16"}, {"0": "bf16"}, {"2": "bf16"}, {"0": "fp16"}, {}])
def test_small_linear_layers_in_a_row_are_told_apart(
    halves: dict[str, Half], tmp_path: Path, needs_halves: NeedsHalves
) -> None:
    pytest.importorskip("openvino", reason="only OpenVINO executes half precision on a CPU")
    needs_halves(halves.values())
    module = fx.symbolic_trace(nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)).eval())
    path, x = tmp_path / "model.onnx", torch.randn(2, 16)
    export_onnx(module, (x,), PrecisionPlan(halves=halves), path)
    found = executed_precision(get_runtime("openvino").profile_operators(path, x.numpy(), 1, 1))
    executed = {"bf16": found.bf16_layers, "fp16": found.fp16_layers, "fp32": found.float_layers}
    for precision, layers in executed.items():
        assert layers == tuple(layer for layer in ("0", "2") if halves.get(layer, "fp32") == precision)


def test_int8_and_half_layers_stand_side_by_side(tmp_path: Path, needs_halves: NeedsHalves) -> None:
    pytest.importorskip("openvino", reason="only OpenVINO executes half precision on a CPU")
    needs_halves(["bf16"])
    torch.manual_seed(0)
    convolutions = [nn.Conv2d(16, 16, 3, padding=1) for _ in range(4)]
    module = fx.symbolic_trace(nn.Sequential(*(each for c in convolutions for each in (c, nn.ReLU()))).eval())
    tensors = {"input_1.value": TensorQuantization(8, (4 / 127,), (127,), axis=None, is_signed=False)}
    tensors |= {f"_{n}.value": TensorQuantization(8, (2 / 255,), (0,), axis=None, is_signed=False) for n in (1, 3, 5)}
    for name in ("0", "4"):
        scale = tuple((module.get_parameter(f"{name}.weight").flatten(1).abs().amax(1) / 127).tolist())
        tensors[f"{name}.weight"] = TensorQuantization(8, scale, (0,) * 16, axis=0, is_signed=True)
    plan, path = PrecisionPlan(tensors, {"2": "bf16", "6": "bf16"}), tmp_path / "model.onnx"
    x = torch.randn(2, 16, 8, 8)
    export_onnx(module, (x,), plan, path)
    runtime = get_runtime("openvino")
    found = executed_precision(runtime.profile_operators(path, x.numpy(), 1, 1))
    assert (found.int8_layers, found.bf16_layers, found.float_layers) == (("0", "4"), ("2", "6"), ())
    with torch.no_grad():
        expected = lower(module, plan)(x)
    actual = torch.from_numpy(runtime.open_session(path, 1).run(x.numpy()))
    # A step of the integers, 2 / 255, may fall the other way.
    torch.testing.assert_close(actual, expected, rtol=0.02, atol=2 / 255)


@pytest.mark.parametrize(
    ("halves", "rule"),
    [
        ({"steem": "bf16"}, "unknown layer 'steem': .* a planned layer must be used exactly once"),
        ({"relu6": "bf16"}, "a layer in bf16 must be of one of Conv1d, .*Linear, got ReLU6 for 'relu6'"),
    ],
)
def test_impossible_halves_are_refused(halves: dict[str, Half], rule: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=rule):
        exported(network(), PrecisionPlan(halves=halves), tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("layer", "rule"),
    [("steem", "unknown layer 'steem'"), ("relu6", "a sparse layer must be of Linear, got ReLU6 for 'relu6'")],
)
def test_impossible_sparse_layers_are_refused(layer: str, rule: str) -> None:
    with pytest.raises(ExportError, match=rule):
        lower(network(), PrecisionPlan(sparse=(layer,)))


@pytest.mark.parametrize("value", [70_000.0, float("nan")])
def test_weights_must_fit(value: float, tmp_path: Path) -> None:
    module = network()
    with torch.no_grad():
        module.get_parameter("stem.bias")[3] = value
    with pytest.raises(
        ExportError, match=r"a layer in fp16 must have weights within 65504, got (70000|nan) for 'stem'"
    ):
        exported(module, PrecisionPlan(halves={"stem": "fp16"}), tmp_path / "model.onnx")
