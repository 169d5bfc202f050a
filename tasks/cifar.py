"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): 60,000 photographs of 32 x 32 pixels, downloaded once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..hardware_profiles.errors import TaskError
from ..training import Split
from .baseline import cache_directory
from .stratified import stratified_order
from .task import TaskData

SIZE = 32
VALIDATION_SHARE = 0.1
"""Of the 50,000 training images; the 10,000 test images stay what they are."""
PADDING_SHARE = 1 / 8
"""Of the image's side: 4 pixels at 32 (He et al. 2016, section 4.2)."""
SPLIT_SEED = 0


@dataclass(frozen=True, slots=True)
class Cifar:
    """One of the two data sets.

    Attributes:
        name: As in task names.
        dataset: Its class in `torchvision.datasets`.
        folder: What its archive extracts to.
        n_classes: Number of classes.
        mean: Of each channel over the training images, pixels between 0 and 1.
        deviation: Likewise.
    """

    name: str
    dataset: str
    folder: str
    n_classes: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


CIFAR = {
    cifar.name: cifar
    for cifar in (
        Cifar("cifar10", "CIFAR10", "cifar-10-batches-py", 10, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        Cifar("cifar100", "CIFAR100", "cifar-100-python", 100, (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    )
}


def load_cifar(cifar: Cifar, root: Path | None = None, *, size: int = SIZE, limit: int | None = None) -> TaskData:
    """The three splits; downloads the archive where it is not there yet.

    Args:
        cifar: Which of the two.
        root: The directory that holds `cifar.folder`; by default `data` in the cache directory.
        size: Side that the images are resized to, in pixels.
        limit: Training images at most, of each class its share; None for all.

    Raises:
        TaskError: The data are neither there nor can they be downloaded.
    """
    images, classes = _read(cifar, root, is_train=True)
    order = stratified_order(classes, SPLIT_SEED)
    n_validation = round(VALIDATION_SHARE * len(order))
    validation, train = order[:n_validation], order[n_validation:][:limit]
    test_images, test_classes = _read(cifar, root, is_train=False)
    return TaskData(
        train=Split(_prepared(images[train], cifar, size), classes[train]),
        validation=Split(_prepared(images[validation], cifar, size), classes[validation]),
        test=Split(_prepared(test_images, cifar, size), test_classes),
    )


def crop_and_flip(inputs: Tensor, generator: torch.Generator) -> Tensor:
    """Shifts each image by up to an eighth of its side, zeros moving in, and mirrors half of them.

    The standard augmentation of CIFAR (He et al. 2016, section 4.2).

    Args:
        inputs: Shape (n, channels, height, width).
        generator: Source of all randomness.
    """
    n, channels, height, width = inputs.shape
    padding = round(PADDING_SHARE * min(height, width))
    padded = functional.pad(inputs, [padding] * 4)

    def offsets() -> Tensor:
        return torch.randint(2 * padding + 1, (n, 1), generator=generator)

    rows, columns = offsets() + torch.arange(height), offsets() + torch.arange(width)  # (n, height), (n, width)
    is_mirrored = torch.rand(n, 1, generator=generator) < 0.5
    columns = torch.where(is_mirrored, columns.flip(1), columns)
    sample, channel = torch.arange(n)[:, None, None, None], torch.arange(channels)[None, :, None, None]
    return padded[sample, channel, rows[:, None, :, None], columns[:, None, None, :]]


def _read(cifar: Cifar, root: Path | None, *, is_train: bool) -> tuple[Tensor, Tensor]:
    """Images (n, 32, 32, 3) of bytes and classes (n,)."""
    from torchvision import datasets

    root = root or cache_directory() / "data"
    try:
        root.mkdir(parents=True, exist_ok=True)
        # torchvision compares the files' checksums before it unpickles them.
        dataset: Any = getattr(datasets, cifar.dataset)(os.fspath(root), train=is_train, download=True)
    except (OSError, RuntimeError) as error:  # URLError, a full disk; a damaged archive
        reason = " ".join(str(error).split())
        raise TaskError(
            f"{cifar.name} must be downloaded once, but that failed ({reason}): connect to the network, or put the "
            f"extracted {cifar.folder} into {root}"
        ) from error
    return torch.from_numpy(dataset.data), torch.tensor(dataset.targets)


def _prepared(images: Tensor, cifar: Cifar, size: int) -> Tensor:
    """(n, 32, 32, 3) of bytes → (n, 3, size, size) of about zero mean and unit deviation."""
    mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in (cifar.mean, cifar.deviation))
    prepared = torch.empty(len(images), 3, size, size)
    for chosen in torch.split(torch.arange(len(images)), 1_000):  # in parts, because all at once need memory thrice
        part = images[chosen].permute(0, 3, 1, 2).float() / 255
        if size != SIZE:
            part = functional.interpolate(part, size=size, mode="bilinear", align_corners=False, antialias=True)
        prepared[chosen] = (part - mean) / deviation
    return prepared
