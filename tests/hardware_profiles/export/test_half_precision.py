from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, fx, nn

from parefront.hardware_profiles import PrecisionPlan
from parefront.hardware_profiles.export.half_precision import half_dtype, half_layer, half_nodes, largest_value
from parefront.hardware_profiles.export.lowering import lower, values_in_half
from parefront.hardware_profiles.precision import Half


class Between(nn.Module):
    """Two layers side by side on one input, and what stands behind them."""

    def __init__(self, operation: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.operation = operation
        self.relu, self.pool, self.swish = nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Hardswish()

    def forward(self, x: Tensor) -> Tensor:
        return self.operation(self.first(x), self.second(x))


def traced(operation: Callable[[Tensor, Tensor], Tensor]) -> fx.GraphModule:
    return fx.symbolic_trace(Between(operation).eval())


def casts(module: fx.GraphModule) -> list[tuple[str, torch.dtype]]:
    """What is cast and to what, in order."""
    found = [node for node in module.graph.nodes if node.op == "call_method" and node.target == "to"]
    return [(str(node.args[0]), node.args[1]) for node in found]


BOTH: Mapping[str, Half] = {"first": "bf16", "second": "bf16"}


@pytest.mark.parametrize(
    ("operation", "is_carried"),
    [
        (lambda a, b: a + b, True),
        (lambda a, b: a - b, True),
        (lambda a, b: a * b, True),
        (lambda a, b: a * 2 + 1, True),
        (lambda a, b: torch.cat([a, b], 1), True),
        (lambda a, b: torch.relu(a), True),
        (lambda a, b: torch.sigmoid(a), True),
        (lambda a, b: a.mean((2, 3)), True),
        (lambda a, b: torch.flatten(nn.functional.max_pool2d(a, 2), 1), True),
        (lambda a, b: nn.functional.avg_pool2d(a, 2).permute(0, 2, 3, 1), True),
        (lambda a, b: torch.softmax(a, 1), False),
        (lambda a, b: nn.functional.layer_norm(a, (4, 4)), False),
        (lambda a, b: torch.matmul(a, b), False),
        (lambda a, b: a / (b * b + 1), False),
    ],
)
def test_operations_carry_half_precision_on_or_do_not(
    operation: Callable[[Tensor, Tensor], Tensor], is_carried: bool
) -> None:
    module = traced(operation)
    last = next(node for node in reversed(module.graph.nodes) if node.op != "output")
    found = half_nodes(module, BOTH, without=())
    assert (last in found) is is_carried
    x = torch.randn(2, 4, 4, 4)
    lowered = lower(module, PrecisionPlan(halves=BOTH))
    # The network gives float, close to what it gave: in bf16 to 1 in 2^8.
    torch.testing.assert_close(lowered(x), module(x), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("layers", [{"first": "bf16"}, {"first": "bf16", "second": "fp16"}])
def test_where_two_types_meet_it_is_computed_in_float(layers: dict[str, Half]) -> None:
    module = traced(lambda a, b: a + b)
    assert {node.name for node in half_nodes(module, layers, without=())} == set(layers)
    lowered = lower(module, PrecisionPlan(halves=layers))
    made = [("x", half_dtype(half)) for half in layers.values()] + [(layer, torch.float32) for layer in layers]
    assert sorted(casts(lowered), key=str) == sorted(made, key=str)


def test_neighbours_of_one_type_have_no_casts_between_them() -> None:
    layers = [nn.Conv2d(4, 4, 1), nn.ReLU6(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 1), nn.SiLU(), nn.Flatten()]
    module = fx.symbolic_trace(nn.Sequential(*layers, nn.Linear(16, 4), nn.Linear(4, 2)).eval())
    lowered = lower(module, PrecisionPlan(halves={"0": "fp16", "3": "fp16", "6": "fp16"}))
    assert casts(lowered) == [("input_1", torch.float16), ("_6", torch.float32)]


def test_a_value_is_cast_once_for_all_who_read_it() -> None:
    lowered = lower(traced(lambda a, b: torch.softmax(a, 1) + torch.softmax(a, 2)), PrecisionPlan(halves=BOTH))
    # Both layers read the input, both softmaxes read the first layer; the second layer is read by nobody.
    assert casts(lowered) == [("x", torch.bfloat16), ("first", torch.float32)]


def test_from_one_half_to_the_other_is_one_step() -> None:
    module = fx.symbolic_trace(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)))
    lowered = lower(module, PrecisionPlan(halves={"0": "bf16", "1": "fp16"}))
    assert casts(lowered) == [("input_1", torch.bfloat16), ("_0", torch.float16), ("_1", torch.float32)]


def test_parts_are_carried_where_each_is_picked() -> None:
    def picked(a: Tensor, b: Tensor) -> Tensor:
        left, right = a.chunk(2, 1)
        return left + right

    lowered = lower(traced(picked), PrecisionPlan(halves=BOTH))
    assert casts(lowered) == [("x", torch.bfloat16), ("add", torch.float32)]
    stacked = lower(traced(lambda a, b: torch.stack(a.chunk(2, 1))), PrecisionPlan(halves=BOTH))
    assert casts(stacked) == [("x", torch.bfloat16), ("first", torch.float32)]
    assert stacked(torch.randn(2, 4, 4, 4)).dtype is torch.float32


def test_sizes_are_asked_from_what_is_there() -> None:
    lowered = lower(traced(lambda a, b: a.view(a.size(0), -1)), PrecisionPlan(halves=BOTH))
    assert casts(lowered) == [("x", torch.bfloat16), ("view", torch.float32)]
    assert lowered(torch.randn(3, 4, 4, 4)).shape == (3, 64)


def test_values_by_hand() -> None:
    module = fx.symbolic_trace(nn.Sequential(nn.Linear(1, 1)))
    with torch.no_grad():
        module.get_parameter("0.weight").fill_(1.0)
        module.get_parameter("0.bias").zero_()
    # Eight significant bits of 1 + 2^-9 are 1; eleven hold it. 1 + 2^-7 + 2^-12 loses its last bit in both.
    x = torch.tensor([[1 + 2.0**-9], [1 + 2.0**-7 + 2.0**-12]])
    by_half = {
        half: lower(module, PrecisionPlan(halves={"0": half}))(x).flatten().tolist() for half in ("bf16", "fp16")
    }
    assert by_half == {"bf16": [1.0, 1 + 2.0**-7], "fp16": [1 + 2.0**-9, 1 + 2.0**-7]}


def test_a_copy_is_cast_and_shared_weights_stay() -> None:
    layer, twin = nn.Linear(2, 2), nn.Linear(2, 2)
    twin.weight = layer.weight
    made = half_layer(layer, "bf16")
    assert made.weight.dtype is torch.bfloat16
    assert layer.weight.dtype is twin.weight.dtype is torch.float32


def test_a_value_that_integers_make_is_not_in_half() -> None:
    module = traced(lambda a, b: a + b)
    add = next(node for node in module.graph.nodes if node.name == "add")
    assert add not in half_nodes(module, BOTH, without={add})
    assert add in values_in_half(module, PrecisionPlan(halves=BOTH))


def test_largest_values() -> None:
    # fp16: the largest exponent is 15, with all of ten bits behind the point. bf16 ends nearly where float32 does.
    assert largest_value("fp16") == (2 - 2.0**-10) * 2.0**15 == 65504
    assert largest_value("bf16") == (2 - 2.0**-7) * 2.0**127
