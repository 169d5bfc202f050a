import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from parefront.hardware_profiles.errors import TrainingError
from parefront.spaces import Configuration, Network, prepare, trace
from parefront.spaces.layer_parts import output_parts, share_among_parts
from parefront.training.reconstruction import reconstruct


class Plain(nn.Module):
    """Two convolutions and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.head = nn.Linear(16 * 16, 32)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.second(self.relu(self.first(x)))))
        return self.head(x.flatten(1))


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return trace(Plain().eval(), torch.zeros(2, 3, 4, 4))


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(96, 3, 4, 4, generator=torch.Generator().manual_seed(1))


RANKS = {"rank/second": "spatial:8", "rank/head": "svd:8"}


def compressed(network: Network, ranks: dict[str, str]) -> fx.GraphModule:
    return prepare(network, Configuration.of(ranks))


def given_to(module: fx.GraphModule, name: str, images: Tensor) -> Tensor:
    """The inputs of a layer."""
    found: list[Tensor] = []
    handle = module.get_submodule(name).register_forward_pre_hook(lambda _, arguments: found.append(arguments[0]))
    with torch.no_grad():
        module(images)
    handle.remove()
    return found[0]


def test_the_last_factor_is_the_least_squares_solution(network: Network, images: Tensor) -> None:
    module = compressed(network, RANKS)
    done = reconstruct(module, network.module, ["second", "head"], images, damping=0.0)
    # Asymmetric: the head's inputs come through the new factors of the convolution, its targets from the original.
    inputs = given_to(done.module, "head.1", images).double()
    with_ones = torch.cat([inputs, torch.ones(len(inputs), 1)], 1)
    with torch.no_grad():
        targets = network.module(images).double()
    solution = torch.linalg.lstsq(with_ones, targets).solution
    layer = done.module.get_submodule("head.1")
    torch.testing.assert_close(layer.weight.double(), solution[:-1].T, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer.bias.double(), solution[-1], rtol=1e-4, atol=1e-5)
    residual = (targets - with_ones @ solution).square().sum() / targets.square().sum()
    assert done.errors["head"][1] == pytest.approx(float(residual), rel=1e-4)


def test_every_layer_comes_closer_and_so_does_the_network(network: Network, images: Tensor) -> None:
    module = compressed(network, RANKS)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    done = reconstruct(module, network.module, ["second", "head"], images)
    assert list(done.errors) == ["second", "head"]
    assert all(after < first for first, after in done.errors.values())
    with torch.no_grad():
        wanted = network.module(images)
        errors = [float((each(images) - wanted).square().sum()) for each in (module, done.module)]
    assert errors[1] < 0.8 * errors[0]
    # What it was given is as it was; so are all factors but the last ones.
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    changed = {name for name, value in done.module.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"second.1.weight", "head.1.weight", "head.1.bias"}


def test_a_factor_that_can_repair_everything_does(network: Network, images: Tensor) -> None:
    # At full rank the first factor loses nothing; the last one was spoilt, and least squares finds it again.
    module = compressed(network, {"rank/head": "svd:32"})
    exact = module.get_submodule("head.1").weight.detach().clone()
    with torch.no_grad():
        module.get_submodule("head.1").weight.mul_(0.3)
    done = reconstruct(module, network.module, ["head"], images, damping=0.0)
    assert done.errors["head"][1] < 1e-9
    torch.testing.assert_close(done.module.get_submodule("head.1").weight, exact, rtol=1e-3, atol=1e-4)


def test_few_samples_leave_the_factor_as_it_was_where_they_say_nothing(network: Network) -> None:
    # Zeros reach the head's factors only through the biases before: one direction. All others keep their weights.
    module = compressed(network, {"rank/head": "svd:8"})
    one = torch.zeros(1, 3, 4, 4)
    done = reconstruct(module, network.module, ["head"], one)
    direction = given_to(module, "head.1", one)[0].double()
    change = (done.module.get_submodule("head.1").weight - module.get_submodule("head.1").weight).double().detach()
    across = torch.linalg.qr(torch.cat([direction[:, None], torch.eye(8)], 1)).Q[:, 1:8]
    assert float((change @ across).abs().max()) < 1e-5


def test_groups_are_solved_each_for_itself() -> None:
    torch.manual_seed(0)
    original = trace(nn.Sequential(nn.Conv2d(32, 32, 3, padding=1, groups=2)).eval(), torch.zeros(2, 32, 5, 5))
    images = torch.randn(40, 32, 5, 5)
    module = prepare(original, Configuration.of({"rank/0": "grouped:8x2"}))
    done = reconstruct(module, original.module, ["0"], images)
    first, after = done.errors["0"]
    assert after < first
    with torch.no_grad():
        wanted = original.module(images)
        error = (done.module(images) - wanted).square().sum() / wanted.square().sum()
    assert float(error) == pytest.approx(after, rel=1e-3)


def test_what_was_not_factorised_or_was_pruned_is_named(network: Network, images: Tensor) -> None:
    module = compressed(network, {"rank/second": "spatial:8", "prune/second": 8})
    done = reconstruct(module, network.module, ["first", "second"], images)
    assert done.errors == {}
    assert done.left_alone == {"first": "it was not replaced", "second": "some of its channels were pruned"}


def test_no_samples_and_unknown_layers_are_refused(network: Network, images: Tensor) -> None:
    module = compressed(network, RANKS)
    with pytest.raises(TrainingError, match="reconstruction needs at least one sample, got 0"):
        reconstruct(module, network.module, ["head"], images[:0])
    with pytest.raises(TrainingError, match="'nothing' is none of this network"):
        reconstruct(module, network.module, ["nothing"], images)


@pytest.mark.parametrize("operator", ["pointwise", "separable", "fire:8"])
def test_the_layers_of_another_operator_come_closer(network: Network, images: Tensor, operator: str) -> None:
    module = compressed(network, {"operator/second": operator, "rank/head": "svd:8"})
    with torch.no_grad():
        for name in output_parts(module, "second"):
            module.get_submodule(name).weight.mul_(0.5)
        wanted = network.module.get_submodule("second")(given_to(network.module, "second", images))
    done = reconstruct(module, network.module, ["second", "head"], images, damping=0.0)
    assert done.left_alone == {}
    error, total = torch.zeros(()).double(), wanted.double().square().sum()
    first = 0
    for name, n_channels in share_among_parts(module, "second", 16).items():
        # Each is the least-squares solution for its own channels: what is left is orthogonal to all that it reads.
        layer = done.module.get_submodule(name)
        assert isinstance(layer, nn.Conv2d)
        inputs = given_to(done.module, name, images)
        rows = functional.unfold(inputs, layer.kernel_size, padding=layer.padding).transpose(1, 2).flatten(0, 1)
        with torch.no_grad():
            missed = (wanted[:, first : first + n_channels] - layer(inputs)).movedim(1, -1).flatten(0, 2)
        assert float((rows.T @ missed).abs().max()) < 1e-3 * float(rows.square().sum().sqrt() * missed.norm())
        error += missed.double().square().sum()
        first += n_channels
    assert done.errors["second"][1] == pytest.approx(float(error / total), rel=1e-3)
