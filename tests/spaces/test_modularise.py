from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.spaces import Network, trace
from parefront.spaces.modularise import ACTIVATIONS, Split


class Model(nn.Module):
    """Whatever forward a test wants, with some parts of which not all need be used."""

    def __init__(self, forward: Callable[..., Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.norm = nn.Linear(4, 4), nn.LayerNorm(4)
        self.weight, self.bias = nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.randn(3))
        self.run = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def traced(forward: Callable[..., Tensor], n_inputs: int = 4) -> Network:
    """A traced model, of which is checked that it computes the same, also for another batch."""
    model = Model(forward).eval()
    network = trace(model, torch.zeros(2, n_inputs))
    inputs = torch.randn(5, n_inputs, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(network.module(inputs.clone()), model(inputs.clone()))
    return network


def called(network: Network) -> list[str]:
    """What the graph does, module by module and function by function."""
    names = []
    for node in network.module.graph.nodes:
        if node.op == "call_module":
            names.append(type(network.module.get_submodule(str(node.target))).__name__)
        elif node.op in ("call_function", "call_method"):
            names.append(getattr(node.target, "__name__", str(node.target)))
    return names


# Activations and layers are modules.


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (lambda x: functional.gelu(x, approximate="tanh"), nn.GELU("tanh")),
        (lambda x: functional.leaky_relu(x, 0.3), nn.LeakyReLU(0.3)),
        (lambda x: functional.elu(input=x, alpha=2.0), nn.ELU(2.0)),
        (lambda x: functional.hardtanh(x, -2, 3), nn.Hardtanh(-2, 3)),
        (lambda x: functional.relu6(input=x), nn.ReLU6()),
        (lambda x: functional.silu(x * 1, True), nn.SiLU()),
        (lambda x: (x * 1).relu_(), nn.ReLU()),
        (lambda x: x.sigmoid(), nn.Sigmoid()),
        (torch.tanh, nn.Tanh()),
    ],
)
def test_functional_activations_keep_their_options(activation: Callable[[Tensor], Tensor], expected: nn.Module) -> None:
    network = traced(lambda m, x: activation(x))
    (found,) = [module for module in network.module.modules() if isinstance(module, ACTIVATIONS)]
    assert repr(found) == repr(expected)


def test_linear_functions_become_layers() -> None:
    def forward(m: Model, x: Tensor) -> Tensor:
        x = functional.linear(x, m.linear.weight, m.linear.bias)
        return functional.linear(functional.linear(x, m.weight, bias=m.bias), m.weight.t())

    network = traced(forward)
    # The first is the module whose parameters it reads; the last reads what is computed from a parameter.
    assert [(each.name, each.in_channels, each.out_channels) for each in network.layers][:2] == [
        ("linear", 4, 4),
        ("weight_1", 4, 3),
    ]
    assert "weight" not in dict(network.module.named_parameters())


def test_a_linear_function_without_its_modules_bias_is_a_layer_of_its_own() -> None:
    network = traced(lambda m, x: functional.linear(x, m.linear.weight) + m.linear(x))
    assert [(each.name, each.n_calls) for each in network.layers] == [("linear_weight_1", 2), ("linear", 2)]
    reasons = {item.name: item.reason for item in network.left_alone}
    assert reasons == {
        "linear": "its weight is tied to that of linear_weight_1",
        "linear_weight_1": "its weight is tied to that of linear",
    }


def test_layer_norm_functions_become_modules() -> None:
    network = traced(lambda m, x: functional.layer_norm(x, (4,), m.norm.weight, m.norm.bias, 0.1))
    assert called(network) == ["LayerNorm"]
    (norm,) = [module for module in network.module.modules() if isinstance(module, nn.LayerNorm)]
    assert norm.eps == 0.1


def test_a_layer_norm_without_parameters_is_left_as_it_is() -> None:
    assert called(traced(lambda m, x: functional.layer_norm(x, (4,)))) == ["layer_norm"]


# So are splits.


@pytest.mark.parametrize(
    ("split", "sizes"),
    [
        (lambda x: x.split(3, dim=1), [3, 1]),
        (lambda x: torch.split(x, [1, 2, 1], -1), [1, 2, 1]),
        (lambda x: torch.chunk(x, 3, 1), [2, 2]),
        (lambda x: x.tensor_split(3, 1), [2, 1, 1]),
    ],
)
def test_splits_become_modules(split: Callable[[Tensor], tuple[Tensor, ...]], sizes: list[int]) -> None:
    network = traced(lambda m, x: torch.cat(split(x)[::-1], 1))
    (found,) = [module for module in network.module.modules() if isinstance(module, Split)]
    assert found.sizes == sizes


def test_a_split_of_the_batch_is_left_as_it_is() -> None:
    assert "Split" not in called(traced(lambda m, x: torch.cat(x.split(1)[::-1])))
