"""A task of your own: copy this file, put your network and your data in, and run

    parefront inspect examples/my_task.py --hardware cpu-ort-1t
    parefront search examples/my_task.py --hardware cpu-ort-1t --out runs/mine

parefront calls `task()` below. Any `torch.nn.Module` will do whose forward takes one tensor and has no control flow
that depends on data. The network here is a small residual one; the data are scikit-learn's digits, 8 x 8 pixels.
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from parefront.tasks import Task, TaskData
from parefront.training import Split, TrainingRecipe


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


class MyNetwork(nn.Module):
    """(n, 1, 8, 8) → logits (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 32, 3, padding=1)
        self.blocks = nn.Sequential(Block(32), Block(32))
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Linear(32 * 4 * 4, 64)
        self.classifier = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.blocks(torch.relu(self.stem(x))))
        return self.classifier(torch.relu(self.hidden(torch.flatten(x, 1))))


def build_network() -> nn.Module:
    """The network to compress.

    If you have trained weights, load them here and leave `baseline_recipe` below out:

        network.load_state_dict(torch.load("my_weights.pt", weights_only=True))

    (`weights_only=True`, because unpickling anything else runs code that the file brings.)
    """
    torch.manual_seed(0)  # parefront recognises a network that it has trained before by its initial weights
    return MyNetwork()


def load_data() -> TaskData:
    """Training, validation and test samples, as tensors that a forward takes.

    The search picks on validation, so test samples must not be among them. Where several samples come from one
    original (frames of a video, distortions of an image), keep them in one split and pass the original's number for
    each as `Split(..., origins=...)`: they are not independent, and the intervals of the results account for it.
    """
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16 - 0.3  # (n, 8, 8) -> (n, 1, 8, 8)
    classes = torch.tensor(digits.target)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    train, validation, test = order[:1000], order[1000:1400], order[1400:]
    return TaskData(
        train=Split(images[train], classes[train]),
        validation=Split(images[validation], classes[validation]),
        test=Split(images[test], classes[test]),
    )


def task() -> Task:
    """What parefront asks for."""
    return Task(
        name="my-digits",
        build_network=build_network,
        load_data=load_data,
        # Only because the network above comes untrained: how to train it. Done once, then cached.
        baseline_recipe=TrainingRecipe(n_samples=10_000, learning_rate=0.05),
        # The short fine-tune ranks candidates, the full one is for the final members.
        short_recipe=TrainingRecipe(n_samples=2_000, learning_rate=0.02, distillation_weight=0.7),
        full_recipe=TrainingRecipe(n_samples=6_000, learning_rate=0.02, distillation_weight=0.7),
        # `loss` is cross entropy and `score` the share of hits, unless you say otherwise.
    )
