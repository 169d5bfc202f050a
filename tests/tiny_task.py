"""A task for tests: four classes of noisy 8 x 8 images and a residual network that learns them in a second.

The functions beside `task` are the same with one thing made wrong.
"""

import dataclasses

import torch
from torch import Tensor, nn

from parefront.tasks import Task, TaskData
from parefront.training import Split, TrainingRecipe

N_CLASSES = 4


class Block(nn.Module):
    """Two 3 x 3 convolutions around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(out)) + x)


class TinyNetwork(nn.Module):
    """(n, 1, 8, 8) → logits (n, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.block = Block(16)
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Linear(16 * 4 * 4, 32)
        self.classifier = nn.Linear(32, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.block(torch.relu(self.stem(x))))
        return self.classifier(torch.relu(self.hidden(torch.flatten(x, 1))))


def build_network() -> nn.Module:
    torch.manual_seed(0)
    return TinyNetwork()


def load_data() -> TaskData:
    """One fixed pattern per class under noise of the same strength: easy to learn, not easy to learn perfectly."""
    generator = torch.Generator().manual_seed(0)
    patterns = torch.randn(N_CLASSES, 1, 8, 8, generator=generator)

    def draw(n: int) -> Split:
        classes = torch.randint(N_CLASSES, (n,), generator=generator)
        return Split(patterns[classes] + 1.5 * torch.randn(n, 1, 8, 8, generator=generator), classes)

    return TaskData(train=draw(256), validation=draw(128), test=draw(128))


def task() -> Task:
    return Task(
        name="tiny",
        build_network=build_network,
        load_data=load_data,
        baseline_recipe=TrainingRecipe(n_samples=2_048, learning_rate=0.05),
        short_recipe=TrainingRecipe(n_samples=256, learning_rate=0.02, distillation_weight=0.5),
        full_recipe=TrainingRecipe(n_samples=512, learning_rate=0.02, distillation_weight=0.5),
        usable_accuracy=50.0,
        license="CC0-1.0",
    )


def hasty() -> Task:
    """A learning rate at which the short fine-tune leaves the numbers' range."""
    return dataclasses.replace(task(), short_recipe=TrainingRecipe(n_samples=256, learning_rate=1e38))


def demanding() -> Task:
    """No baseline is good enough."""
    return dataclasses.replace(task(), usable_accuracy=100.5)


def other_recipe() -> Task:
    """Another full fine-tune: its results do not compare with those of `task`."""
    return dataclasses.replace(task(), full_recipe=TrainingRecipe(n_samples=576, learning_rate=0.02))


def broken_data() -> Task:
    """The data cannot be read."""

    def load() -> TaskData:
        raise FileNotFoundError("no such folder: /data/mine")

    return dataclasses.replace(task(), load_data=load)
