import operator

import pytest
import torch
from torch import Tensor, fx, nn

from parefront.hardware_profiles import PrecisionPlan, TensorQuantization
from parefront.hardware_profiles.export.counted_steps import count_in_steps
from parefront.hardware_profiles.export.integer_arithmetic import IntegerProduct, IntegerSum
from parefront.hardware_profiles.export.lowering import lower


def unsigned(scale: float, zero_point: int = 0) -> TensorQuantization:
    return TensorQuantization(8, (scale,), (zero_point,), axis=None, is_signed=False)


class Combined(nn.Module):
    """Two inputs are combined, and perhaps an activation follows; nobody else reads either."""

    def __init__(self, combine: object, activation: nn.Module) -> None:
        super().__init__()
        self.combine, self.activation = combine, activation

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        result: Tensor = self.activation(self.combine(x, y))  # type: ignore[operator]  # a function
        return result


def combined(operation: object, activation: nn.Module, result: str) -> tuple[fx.GraphModule, PrecisionPlan]:
    module = fx.symbolic_trace(Combined(operation, activation))
    plan = {"x.value": unsigned(0.5), "y.value": unsigned(0.25), f"{result}.value": unsigned(1 / 64)}
    return module, PrecisionPlan(plan)


@pytest.mark.parametrize(
    ("operation", "kind", "expected"),
    # 1.4 is 1.5 in steps of .5 and .4 is .5 in steps of .25: 2 and .75, both whole in steps of 1 / 64.
    [(operator.add, IntegerSum, 2.0), (torch.mul, IntegerProduct, 0.75)],
)
@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU6()])
def test_an_operation_and_its_activation_give_what_integers_give(
    operation: object, kind: type[nn.Module], expected: float, activation: nn.Module
) -> None:
    module, plan = combined(operation, activation, "activation")
    lowered = lower(module, plan, counts_steps=True)
    assert any(isinstance(each, kind) for each in lowered.modules())
    assert float(lowered(torch.tensor(1.4), torch.tensor(0.4))) == expected
    assert float(lowered(torch.tensor(20.0), torch.tensor(10.0))) == 255 / 64  # where the range ends


def test_without_counting_the_operation_stays_what_it_is() -> None:
    module, plan = combined(operator.add, nn.ReLU(), "activation")
    assert not any(isinstance(each, IntegerSum) for each in lower(module, plan).modules())


def test_what_others_read_too_is_not_counted() -> None:
    class Forked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.activation = nn.ReLU()

        def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            total = x + y
            return self.activation(total), total

    module = fx.symbolic_trace(Forked())
    plan = PrecisionPlan({name: unsigned(0.5) for name in ("x.value", "y.value", "activation.value")})
    assert count_in_steps(module, plan, set(module.graph.nodes)) == set()


def test_values_that_no_integer_operation_makes_are_not_counted() -> None:
    module, plan = combined(operator.add, nn.ReLU(), "activation")
    assert count_in_steps(module, plan, set()) == set()
    assert count_in_steps(module, plan, set(module.graph.nodes)) == {"activation"}
