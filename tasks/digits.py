"""scikit-learn's bundled digits: 1,797 real handwritten digits of 8 x 8 pixels, no download."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..training import Split, TrainingRecipe
from .residual_networks import FusedResNet
from .task import Task, TaskData

SIZE = 32
SPLIT_SEED = 0
N_TRAIN_ORIGINALS, N_VALIDATION_ORIGINALS = 1077, 360
"""The rest, 360, are the test originals. Distortions of one original never stand in two splits."""

PIXEL_MEAN, PIXEL_DEVIATION = 0.25, 0.45


def digits() -> Task:
    """The digits as they are, at 32 x 32: quick and easy, for tests."""
    recipe = TrainingRecipe(n_samples=4_000, learning_rate=0.05)
    return Task(
        name="digits",
        build_network=lambda: _seeded(lambda: FusedResNet(16, (1, 1, 1))),
        load_data=_plain_data,
        baseline_recipe=recipe,
        short_recipe=TrainingRecipe(n_samples=1_024, learning_rate=0.03),
        full_recipe=TrainingRecipe(n_samples=2_048, learning_rate=0.03),
    )


def cluttered_digits() -> Task:
    """The digits rotated, scaled, shifted, noisy and partly hidden by strokes: the demo's task.

    Hard enough that pruning is not free: the baseline reaches 93.5 %, and pruned uniformly by 75 % with the short
    fine-tune it loses 3.3 points (`benchmarks/main_job.py`).
    """
    return Task(
        name="cluttered-digits",
        build_network=lambda: _seeded(lambda: FusedResNet(48, (3, 4, 3))),
        load_data=_cluttered_data,
        baseline_recipe=TrainingRecipe(n_samples=24_000, learning_rate=0.1),
        short_recipe=TrainingRecipe(n_samples=4_000, learning_rate=0.05, distillation_weight=0.5, linearisation=0.3),
        full_recipe=TrainingRecipe(n_samples=20_000, learning_rate=0.05, distillation_weight=0.5, linearisation=0.3),
    )


def _seeded(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build()


def _originals() -> tuple[list[Tensor], Tensor, Tensor]:
    """Positions of the originals in each split; images (n, 8, 8) between 0 and 1; classes (n,)."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    images = torch.tensor(loaded.images, dtype=torch.float32) / 16.0
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(SPLIT_SEED))
    sizes = [N_TRAIN_ORIGINALS, N_VALIDATION_ORIGINALS, len(images) - N_TRAIN_ORIGINALS - N_VALIDATION_ORIGINALS]
    return list(torch.split(order, sizes)), images, torch.tensor(loaded.target)


def _plain_data() -> TaskData:
    positions, images, classes = _originals()
    resized = functional.interpolate(images[:, None], size=SIZE, mode="bilinear", align_corners=False)
    splits = [Split(normalise(resized[chosen]), classes[chosen]) for chosen in positions]
    return TaskData(*splits)


def _cluttered_data() -> TaskData:
    positions, images, classes = _originals()
    generator = torch.Generator().manual_seed(SPLIT_SEED)
    splits = []
    for chosen, n_images in zip(positions, (8_000, 2_000, 2_000), strict=True):
        origins = chosen.repeat(math.ceil(n_images / len(chosen)))[:n_images]
        splits.append(Split(normalise(clutter(images[origins], generator)), classes[origins], origins))
    return TaskData(*splits)


def normalise(images: Tensor) -> Tensor:
    """Pixels between 0 and 1 to about zero mean and unit deviation."""
    return (images - PIXEL_MEAN) / PIXEL_DEVIATION


def clutter(
    images: Tensor,
    generator: torch.Generator,
    *,
    max_rotation: float = 0.5,
    scale: tuple[float, float] = (0.8, 1.3),
    max_shift: float = 0.15,
    n_strokes: int = 2,
    noise: float = 0.3,
) -> Tensor:
    """Distorts digits at 32 x 32.

    Args:
        images: Shape (n, 8, 8), between 0 and 1.
        generator: Source of all randomness.
        max_rotation: In radians, either way.
        scale: Range of the digit's size; 1 fills 32/1.3 pixels.
        max_shift: As a share of half the image, either way.
        n_strokes: Bars drawn over each image.
        noise: Standard deviation added to each pixel.

    Returns:
        Shape (n, 1, 32, 32).
    """
    count = len(images)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=generator) * (high - low) + low

    angle, size = uniform(-max_rotation, max_rotation), uniform(*scale) / 1.3
    cosine, sine = torch.cos(angle) / size, torch.sin(angle) / size
    shift = torch.stack([uniform(-max_shift, max_shift), uniform(-max_shift, max_shift)], 1) * 1.3
    rotation = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)  # (n, 2, 2)
    grid = functional.affine_grid(
        torch.cat([rotation, shift[..., None]], 2), [count, 1, SIZE, SIZE], align_corners=False
    )
    drawn = functional.grid_sample(images[:, None], grid, mode="bicubic", align_corners=False).clamp(0, 1)
    for _ in range(n_strokes):
        drawn = torch.maximum(drawn, _stroke(uniform))
    return drawn + noise * torch.randn(drawn.shape, generator=generator)


def _stroke(uniform: Callable[[float, float], Tensor]) -> Tensor:
    """One bar per image at a random place, shape (n, 1, 32, 32)."""
    angle, half_width, intensity = uniform(0, math.pi), uniform(0.04, 0.10), uniform(0.3, 1.0)
    centre_x, centre_y, half_length = uniform(-0.5, 0.5), uniform(-0.5, 0.5), uniform(0.4, 0.9)
    axis = torch.linspace(-1, 1, SIZE)
    x, y = axis[None, None, :] - centre_x[:, None, None], axis[None, :, None] - centre_y[:, None, None]
    cosine, sine = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    across, along = (x * sine - y * cosine).abs(), (x * cosine + y * sine).abs()
    inside = (across < half_width[:, None, None]) & (along < half_length[:, None, None])
    return (inside.float() * intensity[:, None, None])[:, None]
