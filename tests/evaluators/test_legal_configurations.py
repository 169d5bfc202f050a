"""Every pair of techniques on one layer composes or is excluded: random legal configurations of the kinds of networks
that people bring run, keep their outputs' shape, export, and agree with the runtime in the precision that was asked."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from parefront.evaluators.deploy import check_parity, misexecuted_layers
from parefront.hardware_profiles import load_profile
from parefront.hardware_profiles.runtimes import executed_precision, get_runtime
from parefront.spaces import (
    Configuration,
    SearchSpace,
    find_space,
    finish,
    prepare,
    reestimate_batch_norm,
    set_linearity,
    trace,
)

PROFILE = load_profile("cpu-ort-1t")
N_DRAWS = 4


class InvertedResidual(nn.Module):
    """MobileNetV3-like: expansion, depthwise, squeeze-excite, projection, shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        middle = 3 * channels
        self.expand = nn.Sequential(nn.Conv2d(channels, middle, 1, bias=False), nn.BatchNorm2d(middle), nn.Hardswish())
        self.depthwise = nn.Sequential(
            nn.Conv2d(middle, middle, 3, padding=1, groups=middle, bias=False), nn.BatchNorm2d(middle), nn.ReLU6()
        )
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(middle, 16, 1), nn.ReLU(), nn.Conv2d(16, middle, 1), nn.Hardsigmoid()
        )
        self.project = nn.Sequential(nn.Conv2d(middle, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(self.expand(x))
        return x + self.project(y * self.squeeze(y))


class Dense(nn.Module):
    """DenseNet-like: BatchNorm in front, concatenation behind."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(channels), nn.Conv2d(channels, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.conv(torch.relu(self.norm(x)))], 1)


class Shuffled(nn.Module):
    """ShuffleNet-like: half of the channels pass by, then the halves are mixed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            nn.Conv2d(half, half, 1), nn.BatchNorm2d(half), nn.ReLU(), nn.Conv2d(half, half, 3, padding=1, groups=2)
        )

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, 1)
        y = torch.cat([kept, self.branch(changed)], 1)
        n, c, h, w = y.shape
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Tokens(nn.Module):
    """ViT-like: patches, a position bias, an encoder layer, the mean over tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 64, 4, 4)
        self.position = nn.Parameter(torch.randn(1, 16, 64) * 0.1)
        self.encoder = nn.TransformerEncoderLayer(64, 4, 128, activation="gelu", batch_first=True, norm_first=True)
        self.norm = nn.LayerNorm(64)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.position
        return self.norm(self.encoder(tokens)).mean(1)


def convolutional(*body: nn.Module, channels: int) -> nn.Module:
    stem = (nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
    return nn.Sequential(*stem, *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


KINDS: dict[str, Callable[[], nn.Module]] = {
    "inverted residual": lambda: convolutional(InvertedResidual(32), InvertedResidual(32), channels=32),
    "dense": lambda: convolutional(Dense(32, 16), Dense(48, 16), nn.MaxPool2d(2), nn.Conv2d(64, 32, 1), channels=32),
    "shuffle": lambda: convolutional(Shuffled(32), nn.ReLU(), nn.Conv2d(32, 48, 3, groups=4), channels=48),
    "transformer": lambda: nn.Sequential(Tokens(), nn.Linear(64, 96), nn.GELU(), nn.Linear(96, 10)),
}


def draw(space: SearchSpace, seed: int) -> Configuration:
    generator = random.Random(seed)
    choices = {
        site.name: generator.choice(site.choices[1:]) if generator.random() < 0.6 else site.neutral
        for site in space.sites
    }
    if seed % 2 == 0:  # half of them in float, where the outputs must agree to rounding
        choices = {name: choice for name, choice in choices.items() if not name.startswith("bits/")}
    return space.canonical(choices)


@pytest.mark.parametrize("seed", range(N_DRAWS))
@pytest.mark.parametrize("kind", KINDS)
def test_a_legal_configuration_runs_exports_and_agrees_with_the_runtime(kind: str, seed: int, tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = KINDS[kind]().eval()
        images = torch.randn(8, 3, 16, 16) * torch.linspace(0.2, 3, 8).reshape(-1, 1, 1, 1)
    network = trace(model, images[:2])
    space = find_space(network, PROFILE.capabilities)
    assert {site.technique for site in space.sites} >= {"prune", "bits", "rank"}
    configuration = draw(space, seed)
    assert configuration
    prepared = prepare(network, configuration)
    set_linearity(prepared, 1.0)
    reestimate_batch_norm(prepared, images, n_batches=1)
    finished = finish(prepared, configuration, images)
    with torch.no_grad():
        assert finished.module(images).shape == (8, 10)
    runtime, path = get_runtime(PROFILE.runtime.name), tmp_path / "model.onnx"
    runtime.export(finished.module, (images[:2],), finished.plan, path)
    parity = check_parity(finished, runtime.open_session(path, 1), images)
    assert parity.is_kept, parity
    times = runtime.profile_operators(path, images[:1].numpy(), 1, repeats=1)
    assert misexecuted_layers(finished, executed_precision(times)) == ()
