"""Small networks of the kinds that people write, with the statistics of trained ones."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.spaces import Network, trace


class PlainNetwork(nn.Module):
    """VGG-like: 3x3 pairs, a 1x1, a stride, pooling, linear layers behind a flattened map."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 24, 3, padding=1, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU6(),
            nn.MaxPool2d(2),
            nn.Conv2d(24, 32, 1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(32, 32, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(32 * 16, 48), nn.ReLU(), nn.Linear(48, 32), nn.BatchNorm1d(32), nn.ReLU()
        )
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.classifier(self.features(x)))


class FunctionalNetwork(nn.Module):
    """Functional activations, pooling, and a flattening that spells its size out, as in PyTorch's own tutorial."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.conv3 = nn.Conv2d(16, 32, 3)
        self.fc1 = nn.Linear(32 * 3 * 3, 32)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.conv1(x), inplace=True)
        x = functional.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = functional.max_pool2d(self.conv3(x).relu(), 2)
        return self.fc2(functional.relu(self.fc1(x.view(-1, 32 * 3 * 3))))


class SharedActivationBlock(nn.Module):
    """As in torchvision: one in-place ReLU called three times, and an in-place addition."""

    def __init__(self, in_channels: int, middle: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class SharedActivationNetwork(nn.Module):
    """A bottleneck ResNet in torchvision's manner."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 24, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(24)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(SharedActivationBlock(24, 16, 24, 1), SharedActivationBlock(24, 16, 32, 2))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer1(self.relu(self.bn1(self.conv1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


KINDS: dict[str, Callable[[], nn.Module]] = {
    "plain": PlainNetwork,
    "functional": FunctionalNetwork,
    "shared-activation": SharedActivationNetwork,
}


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model with BatchNorm statistics as after a training; fresh ones are the identity and would hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0.0, 0.5, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            with torch.no_grad():
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0.0, 0.2, generator=generator)
    return model.eval()


@pytest.fixture(scope="session")
def randomise() -> Callable[..., nn.Module]:
    return randomised


@pytest.fixture(scope="session")
def build(tiny_residual_network: Callable[..., nn.Module]) -> Callable[[str], nn.Module]:
    """A factory: the network of a kind, in evaluation mode; each call builds the same one anew."""

    def make(kind: str) -> nn.Module:
        if kind == "residual":
            return tiny_residual_network()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            return randomised(KINDS[kind]())

    return make


@pytest.fixture
def images() -> Tensor:
    """(4, 3, 16, 16), standard normal."""
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=["residual", *KINDS])
def network(request: pytest.FixtureRequest, build: Callable[[str], nn.Module], images: Tensor) -> Network:
    """Each kind of network in turn, traced."""
    return trace(build(request.param), images[:2])
