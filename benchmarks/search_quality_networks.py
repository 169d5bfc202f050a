"""The small networks whose response surfaces `benchmarks.search_quality` searches, and the data they are trained on.

Four that ask for different things: a residual network (widths, bits, ranks), inverted residuals (a fold takes an
expensive expansion out), a plain chain of convolutions and large linear layers (every segment can be folded, ranks and
weights alone in few bits pay), and a vision transformer (heads, widths of the residual stream; no BatchNorm).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.search.goals import Goals
from parefront.search.objectives import Objective, Objectives
from parefront.tasks import Task, TaskData
from parefront.tasks.digits import clutter, normalise
from parefront.tasks.residual_networks import BasicBlock
from parefront.training import Split, TrainingRecipe

N_TRAIN, N_VALIDATION, N_TEST = 4000, 1024, 64
SPLIT_SEED = 0


class SmallResNet(nn.Module):
    """A stem of stride 2, two basic blocks each of 16, 32 and 64 channels, average pooling, a classifier."""

    def __init__(self, widths: tuple[int, int, int] = (16, 32, 64), n_blocks: int = 2) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, widths[0], 3, 2, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU())
        channels, blocks = widths[0], []
        for stage, width in enumerate(widths):
            for block in range(n_blocks):
                blocks.append(BasicBlock(channels, width, 2 if stage and not block else 1))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, 16, 16) → logits (n, 10)."""
        logits: Tensor = self.classifier(torch.flatten(self.pool(self.blocks(self.stem(x))), 1))
        return logits


class InvertedResidual(nn.Module):
    """1 x 1 that expands → depthwise 3 x 3 → 1 x 1 that projects, with a shortcut where the shape stays."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = in_channels * expansion
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, middle, 1, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU6(),
            nn.Conv2d(middle, middle, 3, stride, 1, groups=middle, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU6(),
            nn.Conv2d(middle, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(n, in, h, w) → (n, out, h/stride, w/stride)."""
        out: Tensor = self.layers(x)
        return x + out if self.has_shortcut else out


class SmallMobileNet(nn.Module):
    """A stem of stride 2, inverted residuals of expansion 6, average pooling, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
        shapes = [(16, 16, 1), (16, 16, 1), (16, 24, 2), (24, 24, 1), (24, 24, 1), (24, 32, 1), (32, 32, 1)]
        self.blocks = nn.Sequential(*(InvertedResidual(*shape, expansion=6) for shape in shapes))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, 16, 16) → logits (n, 10)."""
        logits: Tensor = self.classifier(torch.flatten(self.pool(self.blocks(self.stem(x))), 1))
        return logits


class PlainNetwork(nn.Module):
    """Six 3 x 3 convolutions, two of them of stride 2, and four linear layers, without any shortcut."""

    def __init__(self) -> None:
        super().__init__()
        shapes = [(1, 16, 1), (16, 24, 2), (24, 32, 1), (32, 32, 1), (32, 48, 2), (48, 48, 1)]
        self.features = nn.Sequential()
        for in_channels, out_channels, stride in shapes:
            self.features.append(nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False))
            self.features.append(nn.BatchNorm2d(out_channels))
            self.features.append(nn.ReLU())
        self.head = nn.Sequential(
            nn.Linear(48 * 4 * 4, 192), nn.ReLU(), nn.Linear(192, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU()
        )
        self.classifier = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, 16, 16) → logits (n, 10)."""
        logits: Tensor = self.classifier(self.head(torch.flatten(self.features(x), 1)))
        return logits


class EncoderBlock(nn.Module):
    """LayerNorm → attention → + → LayerNorm → two linear layers → +."""

    def __init__(self, width: int, n_heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, n_heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        """(n, tokens, width) → the same shape."""
        if self.training:  # whole channels of the stream, so that it survives losing some, see `HardenedActivation`
            x = x * functional.dropout(torch.ones_like(x[:, :1]), 0.15)
        normed = self.norm1(x)
        x = x + self.attention(normed, normed, normed, need_weights=False)[0]
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class SmallTransformer(nn.Module):
    """16 patches of 4 x 4 pixels, encoder blocks, the mean over the tokens, a classifier."""

    def __init__(self, width: int = 64, n_heads: int = 8, hidden: int = 192, n_blocks: int = 2) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 4, 4)
        self.positions = nn.Parameter(0.02 * torch.randn(1, 16, width))
        self.blocks = nn.Sequential(*(EncoderBlock(width, n_heads, hidden) for _ in range(n_blocks)))
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, 16, 16) → logits (n, 10)."""
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions  # (n, width, 4, 4) -> (n, 16, width)
        logits: Tensor = self.classifier(self.norm(self.blocks(tokens)).mean(1))
        return logits


class HardenedActivation(nn.Module):
    """An activation that is left out now and then while the network is trained, and loses channels.

    What is trained so survives some folding and pruning without a fine-tune. Otherwise nearly everything would be
    beyond the accuracy's box, and a search would find nothing to choose between.
    """

    def __init__(self, activation: nn.Module, left_out: float = 0.15, dropped: float = 0.1) -> None:
        super().__init__()
        self.activation, self.left_out, self.dropped = activation, left_out, dropped

    def forward(self, x: Tensor) -> Tensor:
        """Any shape → the same."""
        if not self.training:
            out: Tensor = self.activation(x)
            return out
        x = x if torch.rand(()) < self.left_out else self.activation(x)
        return functional.dropout2d(x, self.dropped) if x.dim() == 4 else functional.dropout(x, 2 * self.dropped)


def digits_16() -> TaskData:
    """scikit-learn's digits, rotated, shifted, scaled and noisy, 16 x 16; no original stands in two splits."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    images = torch.tensor(loaded.images, dtype=torch.float32) / 16.0
    classes = torch.tensor(loaded.target)
    generator = torch.Generator().manual_seed(SPLIT_SEED)
    positions = torch.split(torch.randperm(len(images), generator=generator), [1077, 656, 64])
    splits = []
    for chosen, n_images in zip(positions, (N_TRAIN, N_VALIDATION, N_TEST), strict=True):
        origins = chosen.repeat(math.ceil(n_images / len(chosen)))[:n_images]
        drawn = clutter(images[origins], generator, max_rotation=0.25, n_strokes=0, noise=0.15)
        splits.append(Split(normalise(functional.avg_pool2d(drawn, 2)), classes[origins], origins))
    return TaskData(*splits)


@dataclass(frozen=True)
class SurfaceSpec:
    """A network to be searched.

    Attributes:
        name: Of the surface.
        build_network: Untrained.
        recipe: How it is trained.
        max_drop: Percentage points of accuracy at which a candidate is worth nothing: without a fine-tune accuracies
            fall faster than with one.
        channel_grid: Of the widths on offer; the networks are narrow.
        load_data: Its data.
    """

    name: str
    build_network: Callable[[], nn.Module]
    recipe: TrainingRecipe
    max_drop: float = 10.0
    channel_grid: int = 4
    load_data: Callable[[], TaskData] = digits_16

    @property
    def goals(self) -> Goals:
        """Accuracy, latency and size, in the surface's own box."""
        axes = (Objective("accuracy", self.max_drop), Objective("latency"), Objective("size"))
        return Goals(Objectives(axes))

    def task(self) -> Task:
        """The network with its data; surfaces train nothing but the baseline, so the other recipes stay unused."""
        unused = TrainingRecipe(n_samples=64)
        return Task(f"surface-{self.name}", self._seeded, self.load_data, unused, unused, self.recipe)

    def _seeded(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = self.build_network()
        for name, module in list(network.named_modules()):
            if isinstance(module, nn.ReLU | nn.ReLU6 | nn.GELU):
                network.set_submodule(name, HardenedActivation(module))
        return network


SPECS: Mapping[str, SurfaceSpec] = {
    spec.name: spec
    for spec in (
        SurfaceSpec("resnet", SmallResNet, TrainingRecipe(n_samples=40_000, learning_rate=0.05)),
        SurfaceSpec("mobilenet", SmallMobileNet, TrainingRecipe(n_samples=40_000, learning_rate=0.05), max_drop=15.0),
        SurfaceSpec("plain", PlainNetwork, TrainingRecipe(n_samples=40_000, learning_rate=0.05)),
        SurfaceSpec(
            "transformer",
            SmallTransformer,
            TrainingRecipe(n_samples=80_000, learning_rate=0.002, optimiser="adamw", weight_decay=0.02),
            max_drop=15.0,
            channel_grid=8,
        ),
    )
}
