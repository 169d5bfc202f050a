import torch
from torch import nn

from parefront.hardware_profiles.precision import PrecisionPlan, TensorQuantization
from parefront.spaces import simulate, trace
from parefront.spaces.bias_correction import correct_biases


def unsigned(scale: float) -> TensorQuantization:
    return TensorQuantization(8, (scale,), (0,), None, False)


def test_a_layer_by_hand() -> None:
    module = trace(nn.Sequential(nn.Linear(1, 1, bias=False), nn.Tanh()), torch.zeros(1, 1)).module
    with torch.no_grad():
        module.get_parameter("0.weight").fill_(1.3)
    # 1.3 becomes 1.5 in steps of .5; inputs 1 and 3 are kept: the outputs 1.5 and 4.5 are on average .4 too high.
    plan = PrecisionPlan({"0.weight": TensorQuantization(8, (0.5,), (0,), 0, True), "input_1.value": unsigned(1.0)})
    correct_biases(module, plan, torch.tensor([[1.0], [3.0]]))
    torch.testing.assert_close(module.get_parameter("0.bias"), torch.tensor([-0.4]))


def test_the_means_of_every_layer_are_those_of_the_float_network() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5))
    x = torch.rand(16, 3, 8, 8)
    module = trace(model, x[:2]).module
    expected = module(x).detach().mean(0)
    values = {"input_1": 1 / 255, "_1": 0.01, "_3": 0.01, "_4": 0.01}
    tensors = {f"{name}.value": unsigned(scale) for name, scale in values.items()}
    for name, outputs in (("0", 6), ("2", 4), ("5", 5)):
        # Steps so coarse that the means move.
        tensors[f"{name}.weight"] = TensorQuantization(8, (0.05,) * outputs, (0,) * outputs, 0, True)
    plan = PrecisionPlan(tensors)

    before = simulate(module, plan)(x).mean(0) - expected
    correct_biases(module, plan, x)
    after = simulate(module, plan)(x).mean(0) - expected

    assert before.abs().max() > 0.01
    # Biases are int32 in steps of input scale times weight scale, here up to 5e-4 in two of the layers.
    assert after.abs().max() < 2e-3


def test_without_few_bits_nothing_happens() -> None:
    module = trace(nn.Sequential(nn.Linear(2, 2)), torch.zeros(1, 2)).module
    before = module.get_parameter("0.bias").clone()
    correct_biases(module, PrecisionPlan.none(), torch.ones(4, 2))
    assert torch.equal(module.get_parameter("0.bias"), before)
