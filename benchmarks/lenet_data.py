"""The networks and the data of Deep Compression's first two rows: LeNet-300-100 and LeNet-5 at 28 x 28."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.hardware_profiles.errors import TaskError
from parefront.tasks import TaskData
from parefront.tasks.digits import N_TRAIN_ORIGINALS, N_VALIDATION_ORIGINALS, normalise
from parefront.tasks.stratified import stratified_order
from parefront.training import Split

SIZE = 28
VALIDATION_SHARE = 0.1
"""Of MNIST's 60,000 training images; the 10,000 test images stay what they are."""
MNIST_MEAN, MNIST_DEVIATION = 0.1307, 0.3081
"""Of the training images, pixels between 0 and 1."""


def lenet_300_100() -> nn.Sequential:
    """784-300-100-10, 266,610 parameters (LeCun et al. 1998)."""
    layers = (nn.Linear(SIZE * SIZE, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
    return nn.Sequential(nn.Flatten(), *layers)


def lenet_5() -> nn.Sequential:
    """Two convolutions and two linear layers, 431,080 parameters, as in Caffe and in the paper."""
    convolutions = (nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2))
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10))


@dataclass(frozen=True, slots=True)
class Network:
    """One row of the paper's table.

    Attributes:
        build: Gives it untrained.
        aim: How many times smaller its file is to be (Han et al. 2016, table 1).
    """

    build: Callable[[], nn.Sequential]
    aim: float


NETWORKS: Mapping[str, Network] = {"lenet-300-100": Network(lenet_300_100, 40), "lenet-5": Network(lenet_5, 39)}


def digits_data(seed: int) -> TaskData:
    """scikit-learn's digits, enlarged: 1,077 for training, 360 for validation, 360 for the test, drawn by the seed."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    images = torch.tensor(loaded.images, dtype=torch.float32)[:, None] / 16.0
    enlarged = normalise(functional.interpolate(images, size=SIZE, mode="bilinear", align_corners=False))
    classes = torch.tensor(loaded.target)
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(seed))
    ends = (N_TRAIN_ORIGINALS, N_TRAIN_ORIGINALS + N_VALIDATION_ORIGINALS)
    train, validation, test = (Split(enlarged[part], classes[part]) for part in torch.tensor_split(order, ends))
    return TaskData(train, validation, test)


def mnist_data(root: Path, seed: int) -> TaskData:
    """MNIST from the folder that holds `MNIST/raw` with the four files; nothing is downloaded.

    Raises:
        TaskError: They are not there.
    """
    images, classes = _mnist(root, is_train=True)
    order = stratified_order(classes, seed)
    validation, train = torch.tensor_split(order, (round(VALIDATION_SHARE * len(order)),))
    test_images, test_classes = _mnist(root, is_train=False)
    return TaskData(
        train=Split(images[train], classes[train]),
        validation=Split(images[validation], classes[validation]),
        test=Split(test_images, test_classes),
    )


def _mnist(root: Path, *, is_train: bool) -> tuple[Tensor, Tensor]:
    """Images (n, 1, 28, 28) of about zero mean and unit deviation, and classes (n,)."""
    from torchvision.datasets import MNIST

    try:
        dataset = MNIST(root, train=is_train, download=False)
    except RuntimeError as error:
        raise TaskError(
            f"MNIST must lie in {root / 'MNIST' / 'raw'}, but does not: put its four files there"
        ) from error
    return (dataset.data[:, None].float() / 255 - MNIST_MEAN) / MNIST_DEVIATION, dataset.targets
