"""Tasks that a name describes: a known network on known data, such as `resnet18@cifar10`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ..hardware_profiles.errors import TaskError, unknown_name
from ..training import TrainingRecipe
from .cifar import CIFAR, Cifar, crop_and_flip, load_cifar
from .cifar import SIZE as CIFAR_SIZE
from .image_folder import LIMIT, class_names, list_splits, load_folder
from .residual_networks import CifarResNet
from .task import Task, TaskData
from .torchvision_models import (
    IMAGENET,
    IMAGENET_CLASSES,
    NONE,
    build_model,
    check_model,
    default_size,
    load_weights,
)

EXAMPLE = "resnet18@cifar10"
IMAGES = "images"
SMALL_SIZE = 64
"""Side that CIFAR images are resized to for networks that are made for 224 pixels: they shrink an image 32 times, which
would leave nothing of 32 pixels."""
OWN_MODELS = {"resnet20": 3, "resnet32": 5, "resnet44": 7, "resnet56": 9}
"""The CIFAR ResNets of He et al. (2016), by their number of blocks in each stage."""
N_EXAMPLES = 8
OPTIONS = ("weights", "size", "limit")


@dataclass(frozen=True, slots=True)
class Description:
    """What the name of a task says.

    Attributes:
        name: The part before the options.
        model: A torchvision model or one of `OWN_MODELS`.
        data: `cifar10`, `cifar100` or `images`.
        path: Where the data lie; None for the cache directory.
        weights: `imagenet`, `none`, a file, or None for what suits the data.
        size: Side of the images, in pixels, or None for what suits model and data.
        limit: Training images at most, or None.
    """

    name: str
    model: str
    data: str
    path: Path | None = None
    weights: str | None = None
    size: int | None = None
    limit: int | None = None


def model_on_data(text: str) -> Task:
    """The task that `MODEL@DATA[:PATH][,weights=...][,size=...][,limit=...]` describes.

    Raises:
        TaskError: Not of that form, or an unknown part.
    """
    description = parse(text)
    return _on_images(description) if description.data == IMAGES else _on_cifar(description)


def cifar10_resnet20() -> Task:
    """ResNet-20 on CIFAR-10 (He et al. 2016), trained by us: 30 passes under a one-cycle schedule."""
    return replace(model_on_data("resnet20@cifar10"), name="cifar10-resnet20")


def parse(text: str) -> Description:
    """Reads the name of a task.

    Raises:
        TaskError: Not of that form, or an unknown part; names the closest.
    """
    first, *settings = text.split(",")
    model, _, data = first.partition("@")
    kind, _, path = data.partition(":")
    check_model(model, tuple(OWN_MODELS))
    if kind not in (*CIFAR, IMAGES):
        raise TaskError(f"{unknown_name('data set', kind, (*CIFAR, IMAGES))}; write for instance {EXAMPLE}")
    if kind == IMAGES and not path:
        raise TaskError(f"{IMAGES} must be followed by a folder, got {text!r}: write {model}@{IMAGES}:FOLDER")
    options: dict[str, str] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in OPTIONS:
            raise TaskError(f"{unknown_name('option', name, OPTIONS)}; write for instance {EXAMPLE},size=64")
        options[name] = value
    name = f"{model}@{kind}" if kind in CIFAR else f"{model}@{Path(path).resolve().name}"
    where = Path(path).expanduser() if path else None
    size, limit = (_count(name, options.get(name)) for name in ("size", "limit"))
    return Description(name, model, kind, where, options.get("weights"), size, limit)


def _count(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isdecimal() and int(text) > 0):
        raise TaskError(f"{name} must be a whole number above 0, got {text!r}: write for instance {name}=64")
    return int(text)


def _on_cifar(description: Description) -> Task:
    cifar = CIFAR[description.data]
    size = description.size or (CIFAR_SIZE if description.model in OWN_MODELS else SMALL_SIZE)
    weights = description.weights or NONE
    build = partial(_build, description.model, cifar.n_classes, size, weights)
    load = partial(_load_cifar, cifar, description, size)
    return Task(
        name=description.name,
        build_network=build,
        load_data=load,
        # He et al. train 164 passes at a peak rate of 0.1 and batches of 128.
        baseline_recipe=_unless_trained(weights, 1_350_000, 0.1 if weights == NONE else 0.02, 128),
        short_recipe=_recipe(10_000, 0.02, 128),
        full_recipe=_recipe(90_000, 0.03, 128),
        augment=crop_and_flip,
        example_inputs=partial(_examples, size),
    )


def _load_cifar(cifar: Cifar, description: Description, size: int) -> TaskData:
    return load_cifar(cifar, description.path, size=size, limit=description.limit)


def _on_images(description: Description) -> Task:
    assert description.path is not None
    folder, limit = description.path, description.limit or LIMIT
    size = description.size or (CIFAR_SIZE if description.model in OWN_MODELS else default_size(description.model))
    weights = description.weights or (NONE if description.model in OWN_MODELS else IMAGENET)
    n_classes = len(class_names(folder))
    n_train = min(limit, len(list_splits(folder)[0]))
    is_complete = weights not in (IMAGENET, NONE) or (weights == IMAGENET and n_classes == IMAGENET_CLASSES)
    n_passes, rate = (5, 0.01) if weights == IMAGENET else (30, 0.05)
    return Task(
        name=description.name,
        build_network=partial(_build, description.model, n_classes, size, weights),
        load_data=partial(load_folder, folder, size=size, limit=limit),
        baseline_recipe=None if is_complete else _recipe(n_passes * n_train, rate, 32, distils=False),
        short_recipe=_recipe(max(1, n_train // 4), 0.005, 32),
        full_recipe=_recipe(2 * n_train, 0.01, 32),
        augment=crop_and_flip,
        example_inputs=partial(_examples, size),
    )


def _unless_trained(weights: str, n_samples: int, learning_rate: float, batch_size: int) -> TrainingRecipe | None:
    if weights not in (IMAGENET, NONE):
        return None
    return _recipe(n_samples, learning_rate, batch_size, distils=False)


def _recipe(n_samples: int, learning_rate: float, batch_size: int, *, distils: bool = True) -> TrainingRecipe:
    return TrainingRecipe(
        n_samples=n_samples,
        learning_rate=learning_rate,
        batch_size=batch_size,
        distillation_weight=0.5 if distils else 0.0,
        linearisation=0.3,
    )


def _build(model: str, n_classes: int, size: int, weights: str) -> nn.Module:
    if model not in OWN_MODELS:
        return build_model(model, n_classes=n_classes, size=size, weights=weights)
    if weights == IMAGENET:
        raise TaskError(f"{model} has no ImageNet weights, got weights={IMAGENET}: give a file or weights={NONE}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = CifarResNet(OWN_MODELS[model], n_classes)
    if weights != NONE:
        load_weights(network, Path(weights))
    return network


def _examples(size: int) -> Tensor:
    return torch.randn(N_EXAMPLES, 3, size, size, generator=torch.Generator().manual_seed(0))
