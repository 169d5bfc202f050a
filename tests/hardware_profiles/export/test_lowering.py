import torch
from torch import Tensor, fx, nn

from parefront.hardware_profiles import PrecisionPlan, TensorQuantization
from parefront.hardware_profiles.export.lowering import lower


def unsigned(scale: float, zero_point: int = 0) -> TensorQuantization:
    return TensorQuantization(8, (scale,), (zero_point,), axis=None, is_signed=False)


def weights(scale: float, n: int) -> TensorQuantization:
    return TensorQuantization(8, (scale,) * n, (0,) * n, axis=0, is_signed=True)


class Forked(nn.Module):
    """One value is read by a layer and by a multiplication with a number, which no runtime does in integers."""

    def __init__(self, maker: nn.Module) -> None:
        super().__init__()
        self.maker, self.layer = maker, nn.Linear(1, 1, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        made = self.maker(x)
        return self.layer(made), made * 2


def values(maker: nn.Module, extra: dict[str, TensorQuantization], x: float) -> list[float]:
    module = fx.symbolic_trace(Forked(maker))
    with torch.no_grad():
        module.get_parameter("layer.weight").fill_(1.0)
    plan = PrecisionPlan({"layer.weight": weights(1.0, 1), "maker.value": unsigned(0.5), **extra})
    return [float(each) for each in lower(module, plan)(torch.tensor([[x]]))]


def test_what_a_float_operation_makes_is_rounded_for_integer_readers_only() -> None:
    # In steps of .5 the layer reads 1; the multiplication reads what tanh gives.
    tanh = float(torch.tanh(torch.tensor(1.2)))  # .834
    torch.testing.assert_close(values(nn.Tanh(), {}, 1.2), [1.0, 2 * tanh])


def test_what_an_integer_operation_makes_is_rounded_for_all() -> None:
    maker = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        maker.weight.fill_(1.0)
    extra = {"maker.weight": weights(1.0, 1), "x.value": unsigned(0.1)}
    # 1.2 is kept by the input's steps of .1, and is 1 in the output's of .5.
    torch.testing.assert_close(values(maker, extra, 1.2), [1.0, 2.0])


def test_biases_are_rounded_to_steps_of_input_and_weight() -> None:
    module = fx.symbolic_trace(nn.Sequential(nn.Linear(1, 1)))
    with torch.no_grad():
        module.get_parameter("0.weight").fill_(0.0)
        module.get_parameter("0.bias").fill_(0.13)
    plan = PrecisionPlan({"0.weight": weights(0.5, 1), "input_1.value": unsigned(0.1)})
    # Steps of .5 * .1: .13 is .15.
    torch.testing.assert_close(lower(module, plan)(torch.ones(1, 1)).detach(), torch.tensor([[0.15]]))
    assert module.get_parameter("0.bias").item() == torch.tensor(0.13).item()


def test_between_int8_and_half_there_is_float() -> None:
    module = fx.symbolic_trace(nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)))
    with torch.no_grad():
        module.get_parameter("0.weight").fill_(1.0)
        module.get_parameter("1.weight").fill_(1.0)
    into = PrecisionPlan({"1.weight": weights(1.0, 1), "_0.value": unsigned(0.25)}, {"0": "bf16"})
    # 1 + 2^-9 is 1 in bf16, which steps of .25 keep; 1.6 is 1.6015625 there, nearest to 1.5 in them.
    x = torch.tensor([[1 + 2.0**-9], [1.6]])
    assert lower(module, into)(x).flatten().tolist() == [1.0, 1.5]
    out_of = PrecisionPlan({"0.weight": weights(1.0, 1), "input_1.value": unsigned(0.3)}, {"1": "bf16"})
    # 1.6 is 1.5 in steps of .3; .8 is .9, in bf16 .8984375 (steps of 2^-8 there).
    found = lower(module, out_of)(torch.tensor([[1.6], [0.8]])).flatten().tolist()
    assert found == [1.5, 0.8984375]
