from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.hardware_profiles.errors import SpaceError
from parefront.spaces import Layer, Network, trace
from parefront.spaces.network import ACTIVATIONS


def activations(network: Network) -> list[nn.Module]:
    """The activation modules in the order in which the graph calls them; each call must have its own."""
    called = [str(node.target) for node in network.module.graph.nodes if node.op == "call_module"]
    found = [network.module.get_submodule(name) for name in called]
    return [module for module in found if isinstance(module, ACTIVATIONS)]


def traced(forward: Callable[[Tensor], Tensor], inputs: Tensor) -> Network:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return forward(x)

    return trace(Model(), inputs)


@pytest.mark.parametrize("kind", ["residual", "plain", "functional", "shared-activation"])
def test_the_trace_computes_what_the_model_computes(
    kind: str, build: Callable[[str], nn.Module], images: Tensor
) -> None:
    model = build(kind)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    network = trace(model, images[:2])
    with torch.no_grad():
        assert torch.equal(network.module(images), model(images))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_layers_are_described_in_the_order_in_which_they_run(build: Callable[[str], nn.Module], images: Tensor) -> None:
    network = trace(build("residual"), images[:2])
    assert [layer.name for layer in network.layers] == [
        "conv1",
        "layer1.0.conv1",
        "layer1.0.conv2",
        "layer2.0.conv1",
        "layer2.0.conv2",
        "layer2.0.downsample.0",
        "fc",
    ]
    assert network.layer("layer2.0.conv1") == Layer("layer2.0.conv1", "conv", 16, 32, (3, 3), (2, 2), 1, 8 * 8)
    assert network.layer("fc") == Layer("fc", "linear", 32, 10, (1, 1), (1, 1), 1, 1)
    assert network.output_layers == {"fc"}


def test_macs_by_the_formula(build: Callable[[str], nn.Module], images: Tensor) -> None:
    network = trace(build("residual"), images[:2])
    # Pixels x kernel x inputs x outputs; 16 x 16 pixels until the stride of layer2, 8 x 8 behind it.
    expected = (
        256 * 9 * 3 * 16 + 2 * 256 * 9 * 16 * 16 + 64 * 9 * 16 * 32 + 64 * 9 * 32 * 32 + 64 * 1 * 16 * 32 + 32 * 10
    )
    assert network.macs == expected
    assert trace(nn.Sequential(nn.Conv2d(4, 8, 3, groups=2)), torch.zeros(1, 4, 5, 5)).macs == 9 * 9 * (4 // 2) * 8


def test_a_layer_called_twice_counts_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(6, 6)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(torch.relu(self.fc(x)))

    network = trace(Twice(), torch.zeros(2, 6))
    assert [(layer.name, layer.n_calls) for layer in network.layers] == [("fc", 2)]
    assert network.macs == 2 * 6 * 6


def test_each_functional_activation_becomes_a_module(build: Callable[[str], nn.Module], images: Tensor) -> None:
    found = activations(trace(build("functional"), images[:2]))
    assert [type(module) for module in found] == [nn.ReLU] * 4


def test_a_shared_activation_gets_one_module_per_call(build: Callable[[str], nn.Module], images: Tensor) -> None:
    found = activations(trace(build("shared-activation"), images[:2]))
    assert len(found) == 7
    assert len({id(module) for module in found}) == 7


@pytest.mark.parametrize(
    "activation",
    [
        lambda x: functional.gelu(x, approximate="tanh"),
        functional.gelu,
        lambda x: functional.relu6(input=x),
        lambda x: functional.silu(x * 1, True),
        functional.hardswish,
        lambda x: (x * 1).relu_(),
    ],
)
def test_functional_activations_keep_their_options(activation: Callable[[Tensor], Tensor]) -> None:
    inputs = torch.linspace(-8, 8, 101)[None]
    network = traced(activation, inputs)
    assert torch.equal(network.module(inputs), activation(inputs))
    assert len(activations(network)) == 1


def test_a_spelt_out_flattening_follows_the_shapes() -> None:
    network = traced(lambda x: x.view(-1, 12) * 2, torch.zeros(2, 3, 2, 2))
    assert network.module(torch.zeros(2, 5, 2, 2)).shape == (2, 20)


def test_another_reshape_is_left_as_it_is() -> None:
    network = traced(lambda x: x.view(-1, 6), torch.zeros(2, 3, 2, 2))
    assert network.module(torch.zeros(2, 3, 2, 2)).shape == (4, 6)


def test_an_identity_is_no_node() -> None:
    network = trace(nn.Sequential(nn.Identity(), nn.ReLU()), torch.zeros(1, 3))
    assert [node.op for node in network.module.graph.nodes] == ["placeholder", "call_module", "output"]


# What cannot be traced or run, beside what can.


class Inner(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:  # the line that the error must name
            return x
        return -x


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.gate = Inner()

    def forward(self, x: Tensor) -> Tensor:
        return self.gate(self.first(x))


def test_data_dependent_control_flow_is_refused_with_module_and_line() -> None:
    with pytest.raises(SpaceError) as error:
        trace(Outer(), torch.zeros(2, 3))
    text = Path(__file__).read_text().splitlines()
    line = 1 + next(i for i, content in enumerate(text) if "the line that the error must name" in content)
    message = str(error.value)
    assert "module 'gate'" in message
    assert f"({__file__}:{line})" in message
    assert "\n" not in message


def test_a_network_that_does_not_run_is_refused_with_the_layer(capsys: pytest.CaptureFixture[str]) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(5, 2))
    with pytest.raises(SpaceError) as error:
        trace(model, torch.zeros(2, 3, 8, 8))
    message = str(error.value)
    assert "(2, 3, 8, 8)" in message
    assert "'2' failed: mat1 and mat2 shapes cannot be multiplied" in message
    assert "\n" not in message
    assert capsys.readouterr().err == ""
