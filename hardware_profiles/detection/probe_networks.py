"""Small untrained networks, typical for vision, with which a machine is tried out, and plans for their precision.

What a layer costs does not depend on what it has learned, so random weights will do. Each network takes about half a
millisecond on one core of a server: long beside a runtime's own overhead, short beside a person's patience.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, fx, nn

from ..export.integer_operations import behind_activation, needs_output
from ..precision import HALVES, PrecisionPlan, TensorQuantization
from ..runtimes import Bits

_LAYERS = (nn.Conv2d, nn.Linear)
_CLASSES = 10


class ResidualProbe(nn.Module):
    """3x3 convolutions with shortcuts, as in a ResNet for small images: (n, 3, 32, 32) -> (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1)
        self.conv1 = nn.Conv2d(32, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1)
        self.down = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(64, 64, 3, padding=1)
        self.conv4 = nn.Conv2d(64, 64, 3, padding=1)
        self.relu_stem, self.relu1, self.relu2 = nn.ReLU(), nn.ReLU(), nn.ReLU()
        self.relu_down, self.relu3, self.relu4 = nn.ReLU(), nn.ReLU(), nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(64, _CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Gives the scores of the classes."""
        x = self.relu_stem(self.stem(x))
        x = self.relu2(self.conv2(self.relu1(self.conv1(x))) + x)
        x = self.relu_down(self.down(x))
        x = self.relu4(self.conv4(self.relu3(self.conv3(x))) + x)
        scores: Tensor = self.classifier(torch.flatten(self.pool(x), 1))
        return scores


class SeparableProbe(nn.Module):
    """Two inverted residuals with depthwise convolutions, as in MobileNetV2: (n, 3, 64, 64) -> (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.expand1 = nn.Conv2d(32, 128, 1)
        self.depthwise1 = nn.Conv2d(128, 128, 3, padding=1, groups=128)
        self.project1 = nn.Conv2d(128, 32, 1)
        self.expand2 = nn.Conv2d(32, 128, 1)
        self.depthwise2 = nn.Conv2d(128, 128, 3, stride=2, padding=1, groups=128)
        self.project2 = nn.Conv2d(128, 64, 1)
        self.relu_stem = nn.ReLU6()
        self.relu1, self.relu2, self.relu3, self.relu4 = nn.ReLU6(), nn.ReLU6(), nn.ReLU6(), nn.ReLU6()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(64, _CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Gives the scores of the classes."""
        x = self.relu_stem(self.stem(x))
        x = self.project1(self.relu2(self.depthwise1(self.relu1(self.expand1(x))))) + x
        x = self.project2(self.relu4(self.depthwise2(self.relu3(self.expand2(x)))))
        scores: Tensor = self.classifier(torch.flatten(self.pool(x), 1))
        return scores


class LinearProbe(nn.Module):
    """Linear layers over 64 patches of an image, as in a vision transformer or MLP: (n, 3, 32, 32) -> (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 192, 4, stride=4)
        self.expand1, self.reduce1 = nn.Linear(192, 768), nn.Linear(768, 192)
        self.expand2, self.reduce2 = nn.Linear(192, 768), nn.Linear(768, 192)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.classifier = nn.Linear(192, _CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Gives the scores of the classes."""
        x = self.patches(x).flatten(2).transpose(1, 2)  # (n, 192, 8, 8) -> (n, 64, 192)
        x = self.reduce1(self.relu1(self.expand1(x)))
        x = self.reduce2(self.relu2(self.expand2(x)))
        scores: Tensor = self.classifier(x.mean(1))
        return scores


# Name -> network, and the size of the image that it takes.
_PROBES: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "residual": (ResidualProbe, 32),
    "separable": (SeparableProbe, 64),
    "linear": (LinearProbe, 32),
}
PROBE_NAMES = tuple(_PROBES)


def probe_network(name: str) -> tuple[fx.GraphModule, tuple[Tensor, ...]]:
    """Builds a network of `PROBE_NAMES`, the same each time, and an example of its input, batch 1."""
    build, size = _PROBES[name]
    return _traced(build), (torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0)),)


def width_network(width: int) -> tuple[fx.GraphModule, tuple[Tensor, ...]]:
    """Three 3x3 convolutions of `width` channels, between two 1x1 that keep the outside the same for every width."""

    def build() -> nn.Module:
        middle = [layer for _ in range(3) for layer in (nn.Conv2d(width, width, 3, padding=1), nn.ReLU())]
        return nn.Sequential(nn.Conv2d(16, width, 1), nn.ReLU(), *middle, nn.Conv2d(width, 16, 1))

    return _traced(build), (torch.randn(1, 16, 14, 14, generator=torch.Generator().manual_seed(0)),)


def probe_plan(module: fx.GraphModule, inputs: tuple[Tensor, ...], bits: Bits) -> PrecisionPlan:
    """A plan that holds every layer in `bits`, with int8 ranges as the example gives them.

    Args:
        module: A network of this module.
        inputs: An example of its input.
        bits: 32, "bf16", "fp16" or 8.
    """
    if bits == 32:
        return PrecisionPlan.none()
    layers = [str(node.target) for node in _layer_nodes(module)]
    half = next((half for half in HALVES if half == bits), None)
    if half is not None:
        return PrecisionPlan(halves=dict.fromkeys(layers, half))
    tensors = {f"{layer}.weight": _weight(module.get_parameter(f"{layer}.weight")) for layer in layers}
    values = _values(module, inputs)
    return PrecisionPlan(tensors | {f"{node.name}.value": _value(values[node]) for node in _rounded(module, values)})


def _traced(build: Callable[[], nn.Module]) -> fx.GraphModule:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return fx.symbolic_trace(build().eval())


def _layer_nodes(module: fx.GraphModule) -> list[fx.Node]:
    return [
        node
        for node in module.graph.nodes
        if node.op == "call_module" and isinstance(module.get_submodule(str(node.target)), _LAYERS)
    ]


def _rounded(module: fx.GraphModule, values: dict[fx.Node, Tensor]) -> list[fx.Node]:
    """What is handed on in integers: every value but a classifier's scores, behind the activation where one follows."""
    (last,) = (node.all_input_nodes[0] for node in module.graph.nodes if node.op == "output")
    scores = None if needs_output(module, last) else last
    behind = {behind_activation(module, node) for node in values}
    hidden = {node for node in values if behind_activation(module, node) is not node}
    return [node for node in values if node in behind and node not in hidden and node is not scores]


def _values(module: fx.GraphModule, inputs: tuple[Tensor, ...]) -> dict[fx.Node, Tensor]:
    """What every node hands on for the example."""
    found: dict[fx.Node, Tensor] = {}

    class _Recorder(fx.Interpreter):
        def run_node(self, node: fx.Node) -> object:
            value = super().run_node(node)
            if node.op != "output" and isinstance(value, Tensor):
                found[node] = value
            return value

    with torch.no_grad():
        _Recorder(module).run(*inputs)
    return found


def _value(value: Tensor) -> TensorQuantization:
    """Covers what a value holds, and 0, with 256 levels."""
    low, high = min(float(value.min()), 0.0), max(float(value.max()), 0.0)
    scale = max(high - low, 1e-6) / 255
    return TensorQuantization(8, (scale,), (round(-low / scale),), axis=None, is_signed=False)


def _weight(weight: Tensor) -> TensorQuantization:
    scale = weight.detach().flatten(1).abs().amax(1) / 127
    return TensorQuantization(8, tuple(scale.tolist()), (0,) * len(scale), axis=0, is_signed=True)
