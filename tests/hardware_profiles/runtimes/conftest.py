"""A tiny network with exact numbers, for every runtime."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, fx, nn

from parefront.hardware_profiles import PrecisionPlan, ProfileError, Runtime, TensorQuantization, get_runtime
from parefront.hardware_profiles.runtimes import check_runtime, runtime_facts

LAYERS = ("conv1", "conv2", "fc")
SHAPE = (3, 8, 8)


class TinyNetwork(nn.Module):
    """Two convolutions with a shortcut, pooling, a linear layer; gives its logits and the pooled features.

    With `tiny_network`'s weights and `inputs`, every product and sum is exact in float32: multiples of 2^-13 below 2^8.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = self.relu(self.conv1(x))
        features = self.flatten(self.pool(self.conv2(first) + first))
        return self.fc(features), features


def tiny_network() -> fx.GraphModule:
    """The network with multiples of 1/16 up to 1/8 for weights and biases."""
    module = TinyNetwork().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randint(-2, 3, parameter.shape, generator=generator) / 16)
    return fx.symbolic_trace(module)


def inputs(batch: int, seed: int = 1) -> Tensor:
    """Multiples of 1/2 from -1 to 1, (batch, 3, 8, 8)."""
    return torch.randint(-2, 3, (batch, *SHAPE), generator=torch.Generator().manual_seed(seed)) / 2


def int8_plan(module: nn.Module) -> PrecisionPlan:
    """Both convolutions in int8, whose values stay within the ranges given."""

    def value(highest: float, lowest: float) -> TensorQuantization:
        scale = (highest - lowest) / 255
        return TensorQuantization(8, (scale,), (round(-lowest / scale),), axis=None, is_signed=False)

    def weight(layer: str) -> TensorQuantization:
        scale = module.get_parameter(f"{layer}.weight").detach().flatten(1).abs().amax(1) / 127
        return TensorQuantization(8, tuple(scale.tolist()), (0,) * len(scale), axis=0, is_signed=True)

    values = {"x": value(1, -1), "relu": value(3, 0), "conv2": value(4, -4), "add": value(5, -3)}
    weights = {f"{layer}.weight": weight(layer) for layer in ("conv1", "conv2")}
    return PrecisionPlan({f"{name}.value": each for name, each in values.items()} | weights)


@dataclass(frozen=True, slots=True)
class Exported:
    """A network as a runtime wrote it."""

    runtime: Runtime
    module: fx.GraphModule
    path: Path


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Exported]:
    """Writes the tiny network, or another, with a runtime; skips where that is not installed or has no device."""

    def write(name: str, plan: PrecisionPlan | None = None, module: fx.GraphModule | None = None) -> Exported:
        try:
            check_runtime(name)
        except ProfileError as error:
            pytest.skip(str(error))
        runtime, module = get_runtime(name), module or tiny_network()
        path = tmp_path_factory.mktemp(name) / f"model{runtime_facts(name).suffix}"
        runtime.export(module, (inputs(2),), plan or PrecisionPlan.none(), path)
        return Exported(runtime, module, path)

    return write
