import operator
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from parefront.hardware_profiles.errors import SpaceError
from parefront.spaces import Network, trace
from parefront.spaces.channel_removal import unprunable
from parefront.spaces.rewriting import drop_identities, fold_constants, undo_in_place


class Model(nn.Module):
    """Whatever forward a test wants, with some parts of which not all need be used."""

    def __init__(self, forward: Callable[..., Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.relu = nn.Linear(4, 4), nn.ReLU(inplace=True)
        self.bias = nn.Parameter(torch.randn(3))
        self.frozen = nn.Parameter(torch.randn(4), requires_grad=False)
        self.register_buffer("table", torch.randn(4))
        self.index: Tensor
        self.register_buffer("index", torch.tensor([2, 1, 0, 3]))
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


# Weights, identities and constants.


@pytest.mark.parametrize("normalise", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_normalised_weights_become_plain_ones(normalise: Callable[[nn.Module], nn.Module]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(normalise(nn.Linear(4, 8)), nn.ReLU(), nn.Linear(8, 2)).eval()
    network = trace(model, torch.zeros(2, 4))
    inputs = torch.randn(5, 4)
    torch.testing.assert_close(network.module(inputs), model(inputs))
    assert set(network.module.state_dict()) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in network.module.parameters())
    assert unprunable(network, {"0": 4}) == {}
    assert len(model.state_dict()) > 4  # the model itself is not touched


def test_identities_are_taken_out() -> None:
    module = fx.symbolic_trace(nn.Sequential(nn.Identity(), nn.ReLU(), nn.Identity()))
    drop_identities(module)
    assert [node.op for node in module.graph.nodes] == ["placeholder", "call_module", "output"]


def constants(network: Network) -> tuple[set[str], set[str]]:
    """Names of the parameters and of the buffers that the graph reads itself."""
    read = {str(node.target) for node in network.module.graph.nodes if node.op == "get_attr"}
    parameters, buffers = dict(network.module.named_parameters()), dict(network.module.named_buffers())
    return read & parameters.keys(), read & buffers.keys()


def test_what_comes_from_a_parameter_can_still_be_trained() -> None:
    network = traced(lambda m, x: x + torch.tanh(m.bias[m.index.clamp(max=2)]).flip(0))
    (name,), buffers = constants(network)
    assert called(network) == ["add"]
    assert not buffers
    assert network.module.get_parameter(name).requires_grad


def test_what_comes_from_none_is_not_trained() -> None:
    # Trained, a mask of minus infinity would become NaN with the first step of weight decay.
    network = traced(lambda m, x: torch.softmax(x + m.table.cumsum(0) + m.frozen.neg(), 1))
    parameters, buffers = constants(network)
    assert parameters == set()
    assert len(buffers) == 2
    assert called(network) == ["add", "add", "softmax"]


def test_a_new_tensor_of_known_size_is_a_constant() -> None:
    assert called(traced(lambda m, x: x + x.new_full((4,), 2.0).cumsum(0))) == ["add"]


def test_what_an_input_reaches_is_no_constant() -> None:
    network = traced(lambda m, x: torch.zeros_like(x) + m.table)
    assert called(network) == ["zeros_like", "add"]


def test_constants_that_nobody_reads_are_gone() -> None:
    def forward(m: Model, x: Tensor) -> Tensor:
        _ = m.table.exp()
        return x * 2

    module = fx.symbolic_trace(Model(forward))
    fold_constants(module)
    assert [node.op for node in module.graph.nodes] == ["placeholder", "call_function", "output"]


# Nothing is overwritten.


def overwritten_method(m: Model, x: Tensor) -> Tensor:
    y = m.linear(x)
    z = y.mul_(2)
    return y + z + y.add_(1)


def overwritten_sum(m: Model, x: Tensor) -> Tensor:
    identity = y = m.linear(x)
    y += x
    return y * identity


def overwritten_by_module(m: Model, x: Tensor) -> Tensor:
    y = m.linear(x)
    return m.relu(y) + y


def overwritten_by_flag(m: Model, x: Tensor) -> Tensor:
    y = m.linear(x)
    return functional.relu(y, inplace=True) + y


def overwritten_by_position(m: Model, x: Tensor) -> Tensor:
    y = m.linear(x)
    return functional.leaky_relu(y, 0.1, True) + y


def overwritten_by_function(m: Model, x: Tensor) -> Tensor:
    y = m.linear(x)
    return torch.relu_(y) + y


def overwritten_view(m: Model, x: Tensor) -> Tensor:
    y = m.linear(x).view(-1, 2, 2)
    y += 1
    return y.flatten(1) * 2


OVERWRITING = [
    overwritten_method,
    overwritten_sum,
    overwritten_by_module,
    overwritten_by_flag,
    overwritten_by_position,
    overwritten_by_function,
    overwritten_view,
]


@pytest.mark.parametrize("forward", OVERWRITING)
def test_what_is_overwritten_is_read_as_it_is_then(forward: Callable[..., Tensor]) -> None:
    network = traced(forward)
    names = called(network)
    assert not any(name.endswith("_") or name in ("iadd", "imul") for name in names), names
    assert not any(getattr(module, "inplace", False) for module in network.module.modules())


def view_of_the_overwritten(m: Model, x: Tensor) -> Tensor:
    y = m.linear(x)
    rows = y.view(-1, 2)
    y.relu_()
    return rows


def base_of_the_overwritten(m: Model, x: Tensor) -> Tensor:
    y = m.linear(x)
    left = y.chunk(2, 1)[0]
    left += 1
    return y * 2


def other_view_of_the_overwritten(m: Model, x: Tensor) -> Tensor:
    y = m.linear(x)
    rows, columns = y.t(), y[:, :2]
    rows.mul_(2)
    return columns


@pytest.mark.parametrize("forward", [view_of_the_overwritten, base_of_the_overwritten, other_view_of_the_overwritten])
def test_memory_that_is_read_by_another_name_must_not_be_overwritten(forward: Callable[..., Tensor]) -> None:
    with pytest.raises(
        SpaceError, match=r"a forward must not overwrite '.*' where '.*', the same memory, is read later"
    ):
        trace(Model(forward), torch.zeros(2, 4))


def test_part_of_a_tensor_must_not_be_overwritten() -> None:
    module = fx.symbolic_trace(nn.ReLU())
    x = next(iter(module.graph.nodes))
    with module.graph.inserting_after(x):
        module.graph.call_function(operator.setitem, (x, 0, 1.0))
    with pytest.raises(SpaceError, match="a forward must not write into part of a tensor, but does in '"):
        undo_in_place(module)


# Sizes are not spelt out.


@pytest.mark.parametrize("forward", [lambda m, x: x.view(-1, 4), lambda m, x: torch.reshape(x, (x.size(0), -1))])
def test_flattening_follows_the_shapes(forward: Callable[..., Tensor]) -> None:
    network = trace(Model(forward), torch.zeros(2, 2, 2))
    assert network.module(torch.zeros(3, 5, 2)).shape == (3, 10)


def test_another_reshape_is_left_as_it_is() -> None:
    network = trace(Model(lambda m, x: x.view(-1, 2)), torch.zeros(2, 2, 2))
    assert network.module(torch.zeros(3, 2, 2)).shape == (6, 2)
