"""Which shortcuts a merged layer takes in, and that the others stay."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import Configuration, finish, prepare, set_linearity, trace
from parefront.spaces.fold import Fold


class Residual(nn.Module):
    """A body and what is added to it, by default its input."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


class Weighted(Residual):
    """Adds twice its input."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(self.body(x), self.shortcut(x), alpha=2)


class First(Residual):
    """The shortcut is the first operand."""

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.body(x)


class Shared(Residual):
    """The projection is read a second time."""

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.shortcut(x)
        return torch.cat([self.body(x) + shortcut, shortcut], 1)


def conv(inner: int, outer: int, kernel: int, stride: int = 1, padding: int = 0, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, kernel, stride, padding, groups=groups)


def pair(first: nn.Module, second: nn.Module) -> nn.Sequential:
    return nn.Sequential(first, nn.ReLU(), second)


def projection(inner: int, outer: int, stride: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))


def images(channels: int) -> Tensor:
    return torch.randn(2, channels, 9, 9, generator=torch.Generator().manual_seed(0))


def n_additions(model: nn.Module, inputs: Tensor, randomise: Callable[..., nn.Module]) -> int:
    """Folds the first activation, checks that nothing changed, and counts what is left to add."""
    configuration = Configuration.of({"fold/body.0": "on"})
    prepared = prepare(trace(randomise(model), inputs), configuration)
    set_linearity(prepared, 1.0)
    merged = finish(prepared, configuration, inputs).module
    with torch.no_grad():
        torch.testing.assert_close(merged(inputs), prepared(inputs), rtol=1e-4, atol=1e-4)
    return sum("add" in str(node.target) for node in merged.graph.nodes)


ABSORBED = {
    "identity": lambda: Residual(pair(conv(4, 6, 3, 1, 1), conv(6, 4, 3, 1, 1))),
    "identity first": lambda: First(pair(conv(4, 6, 3, 1, 1), conv(6, 4, 3, 1, 1))),
    "identity of a depthwise pair": lambda: Residual(pair(conv(4, 4, 3, 1, 1, 4), conv(4, 4, 3, 1, 1, 4))),
    "norm and dropout": lambda: Residual(
        nn.Sequential(conv(4, 6, 3, 1, 1), nn.ReLU(), conv(6, 4, 1), nn.BatchNorm2d(4), nn.Dropout())
    ),
    "projection": lambda: Residual(pair(conv(4, 6, 3, 2, 1), conv(6, 5, 1)), projection(4, 5, 2)),
    "projection first": lambda: First(pair(conv(4, 6, 3, 2, 1), conv(6, 5, 1)), projection(4, 5, 2)),
    "projection without a norm": lambda: Residual(pair(conv(4, 6, 3, 2, 1), conv(6, 5, 1)), conv(4, 5, 1, 2)),
}


@pytest.mark.parametrize("case", ABSORBED)
def test_a_shortcut_is_absorbed(case: str, randomise: Callable[..., nn.Module]) -> None:
    assert n_additions(ABSORBED[case](), images(4), randomise) == 0


KEPT = {
    "a weighted sum": lambda: Weighted(pair(conv(4, 6, 3, 1, 1), conv(6, 4, 3, 1, 1))),
    "a projection of 3 x 3": lambda: Residual(pair(conv(4, 6, 3, 1, 1), conv(6, 5, 1)), conv(4, 5, 3, 1, 1)),
    "a grouped projection": lambda: Residual(pair(conv(4, 6, 3, 1, 1), conv(6, 4, 1)), conv(4, 4, 1, groups=2)),
    "a projection that others read": lambda: Shared(pair(conv(4, 6, 3, 1, 1), conv(6, 4, 1)), conv(4, 4, 1)),
    "a projection of a depthwise pair": lambda: Residual(
        pair(conv(4, 4, 3, 1, 1, 4), conv(4, 4, 3, 1, 1, 4)), conv(4, 4, 1)
    ),
    "an activation on the way": lambda: Residual(pair(conv(4, 6, 3, 1, 1), conv(6, 4, 1)), nn.Tanh()),
    # A kernel of 9 x 9 without padding leaves one pixel, which is added to all.
    "one pixel over all": lambda: Residual(pair(conv(4, 6, 9), conv(6, 4, 1))),
}


@pytest.mark.parametrize("case", KEPT)
def test_any_other_addition_stays(case: str, randomise: Callable[..., nn.Module]) -> None:
    assert n_additions(KEPT[case](), images(4), randomise) == 1


@pytest.mark.parametrize("shortcut", [nn.Identity(), nn.Conv2d(1, 1, 1)], ids=["identity", "projection"])
def test_a_shortcut_that_is_spread_over_the_channels_stays(
    shortcut: nn.Module, randomise: Callable[..., nn.Module]
) -> None:
    model = Residual(pair(conv(1, 6, 3, 1, 1), conv(6, 5, 3, 1, 1)), shortcut)
    assert n_additions(model, images(1), randomise) == 1


def test_a_shortcut_around_linear_layers_is_absorbed(randomise: Callable[..., nn.Module]) -> None:
    inputs = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    assert n_additions(Residual(pair(nn.Linear(6, 9), nn.Linear(9, 6))), inputs, randomise) == 0
    assert n_additions(Residual(pair(nn.Linear(6, 9), nn.Linear(9, 5)), nn.Linear(6, 5)), inputs, randomise) == 0


def test_an_absorbed_projection_is_one_of_the_sites_layers() -> None:
    def layers(case: str) -> tuple[str, ...]:
        return Fold().find_sites(trace(ABSORBED[case](), images(4)), Capabilities()).sites[0].layers

    assert layers("projection") == ("body.0", "body.2", "shortcut.0")
    assert layers("projection without a norm") == ("body.0", "body.2", "shortcut")
    assert layers("identity") == ("body.0", "body.2")
