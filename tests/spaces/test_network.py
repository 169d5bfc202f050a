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


def test_layers_of_every_dimension_are_described() -> None:
    model = nn.Sequential(
        nn.Conv1d(2, 4, 3, stride=2, groups=2),  # 9 places become 4
        nn.ConvTranspose1d(4, 6, (2,), stride=(3,)),
        nn.Unflatten(2, (11, 1, 1)),
        nn.Conv3d(6, 6, (3, 1, 1), groups=6),
    )
    first, second, third = trace(model, torch.zeros(1, 2, 9)).layers
    assert first == Layer("0", "conv", 2, 4, (3,), (2,), 2, 4)
    # Applied at each of its four inputs: 2 weights for each pair of channels.
    assert second == Layer("1", "transposed", 4, 6, (2,), (3,), 1, 4)
    assert second.macs == 4 * 2 * 4 * 6
    assert third == Layer("3", "conv", 6, 6, (3, 1, 1), (1, 1, 1), 6, 9)
    assert (third.is_depthwise, first.is_depthwise) == (True, True)
    assert third.macs == 9 * 3 * 1 * 6


def test_a_linear_layer_counts_once_per_token() -> None:
    (layer,) = trace(nn.Sequential(nn.Linear(3, 5)), torch.zeros(2, 7, 2, 3)).layers
    assert layer == Layer("0", "linear", 3, 5, (1, 1), (1, 1), 1, 14)
    assert layer.macs == 14 * 3 * 5


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image, self.vector, self.both = nn.Conv2d(3, 4, 1), nn.Linear(5, 4), nn.Linear(4, 2)

    def forward(self, image: Tensor, vector: Tensor) -> dict[str, Tensor]:
        features = self.image(image).mean((2, 3)) + self.vector(vector)
        return {"features": features, "scores": self.both(torch.relu(features))}


def test_several_inputs_and_outputs() -> None:
    inputs = torch.randn(2, 3, 4, 4), torch.randn(2, 5)
    model = TwoInputs().eval()
    network = trace(model, inputs)
    assert network.example_inputs == inputs
    torch.testing.assert_close(network.module(*inputs), model(*inputs))
    assert network.output_layers == {"image", "vector", "both"}
    assert network.layer("both").in_channels == 4


def test_the_channels_are_followed_once(build: Callable[[str], nn.Module], images: Tensor) -> None:
    network = trace(build("residual"), images[:2])
    assert network.follower is network.follower


# What no technique works on is listed.


class Recurrent(nn.Module):
    def __init__(self, unit: nn.Module) -> None:
        super().__init__()
        self.embed, self.unit, self.last = nn.Embedding(9, 6), unit, nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.unit(self.embed(x))[0][:, -1])


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_recurrent_units_and_embeddings_are_left_alone(kind: str) -> None:
    model = Recurrent(getattr(nn, kind)(6, 8, batch_first=True)).eval()
    inputs = torch.randint(0, 9, (2, 5))
    network = trace(model, inputs)
    assert [(item.technique, item.name, item.reason) for item in network.left_alone] == [
        ("all", "embed", "Embedding is not a kind of layer that a technique works on"),
        ("all", "unit", f"{kind} is not a kind of layer that a technique works on"),
    ]
    assert [layer.name for layer in network.layers] == ["last"]
    assert torch.equal(network.module(inputs), model(inputs))


def test_tied_weights_are_left_alone() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)
            self.b.weight = self.a.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.b(torch.relu(self.a(x))))

    network = trace(Tied(), torch.zeros(2, 6))
    assert {item.name: item.reason for item in network.left_alone} == {
        "a": "its weight is tied to that of b",
        "b": "its weight is tied to that of a",
    }
    assert [(layer.name, layer.n_calls) for layer in network.layers] == [("a", 2), ("b", 2), ("last", 1)]


def test_a_module_without_parameters_is_no_loss() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Softmax(1), nn.GLU(), nn.Linear(2, 2))
    assert trace(model, torch.zeros(2, 3)).left_alone == ()


# What cannot be traced or run, beside what can.


class Inner(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:  # the line that the error must name
            return x
        return -x


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.gate, self.last = nn.Linear(3, 3), Inner(), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.gate(self.first(x)))


def place_of_the_branch() -> str:
    text = Path(__file__).read_text().splitlines()
    line = 1 + next(i for i, content in enumerate(text) if "the line that the error must name" in content)
    return f"({__file__}:{line})"


def test_a_module_with_data_dependent_control_flow_is_left_alone_with_the_line() -> None:
    model = Outer()
    network = trace(model, torch.zeros(2, 3))
    (item,) = network.left_alone
    assert item.name == "gate"
    reason = "its forward cannot be traced: data-dependent control flow"
    assert item.reason == f"{reason} {place_of_the_branch()}"
    assert [layer.name for layer in network.layers] == ["first", "last"]
    inputs = torch.ones(2, 3)
    assert torch.equal(network.module(inputs), model(inputs))
    assert torch.equal(network.module(-inputs), model(-inputs))


def test_data_dependent_control_flow_of_the_network_itself_is_refused_with_the_line() -> None:
    with pytest.raises(SpaceError) as error:
        trace(Inner(), torch.zeros(2, 3))
    message = str(error.value)
    assert "module '(root)' is not: data-dependent control flow" in message
    assert place_of_the_branch() in message
    assert "\n" not in message


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
def test_a_model_that_cannot_be_copied_is_refused_with_the_remedy() -> None:
    model = nn.Sequential(nn.utils.weight_norm(nn.Linear(3, 4)))
    with pytest.raises(
        SpaceError, match=r"^the model must be copyable, but .*; use torch\.nn\.utils\.parametrizations$"
    ):
        trace(model, torch.zeros(2, 3))


def test_a_network_that_does_not_run_is_refused_with_the_layer(capsys: pytest.CaptureFixture[str]) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(5, 2))
    with pytest.raises(SpaceError) as error:
        trace(model, torch.zeros(2, 3, 8, 8))
    message = str(error.value)
    assert "(2, 3, 8, 8)" in message
    assert "'2' failed: mat1 and mat2 shapes cannot be multiplied" in message
    assert "\n" not in message
    assert capsys.readouterr().err == ""
