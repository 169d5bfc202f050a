"""Photographs in folders, one folder per class, read into memory."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..hardware_profiles.errors import TaskError
from ..training import Split
from .stratified import stratified_order
from .task import TaskData

LIMIT = 6_000
"""Training images at most, where the task does not say otherwise: 3.6 GB at 224 x 224."""
HELD_OUT_PER_TRAIN = 3
"""Validation and test hold at most the limit divided by this, each."""
HELD_OUT_SHARE = 0.1
"""Of a folder that has no splits, for validation and for test each."""
MARGIN = 256 / 224
"""Images are resized so that the shorter side is this much longer than the square that is cut out of the middle."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, as torchvision's trained weights expect."""
SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
SPLIT_SEED = 0
TELL_EVERY_S = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listing:
    """Files and their classes, not read yet.

    Attributes:
        files: Paths.
        classes: Positions in the sorted names of the class folders, shape (n,).
    """

    files: tuple[Path, ...]
    classes: Tensor

    def __len__(self) -> int:
        return len(self.files)

    def chosen(self, positions: Tensor) -> Listing:
        """Some of them, in that order."""
        return Listing(tuple(self.files[i] for i in positions.tolist()), self.classes[positions])


def class_names(folder: Path) -> list[str]:
    """The names of the class folders, sorted: in `train` where there is one, else in the folder itself.

    Raises:
        TaskError: There is no such folder, or fewer than two classes in it.
    """
    root = folder / "train" if (folder / "train").is_dir() else folder
    if not root.is_dir():
        raise TaskError(f"an image folder must exist, got {str(folder)!r}: check the path")
    names = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(names) < 2:
        raise TaskError(f"{root} must hold one folder per class and at least two, got {len(names)}: sort the images")
    return names


def list_splits(folder: Path) -> tuple[Listing, Listing, Listing]:
    """The files for training, validation and test.

    With folders `train`, `val` (or `validation`) and `test` they are those; without `test`, half of the validation
    images become it; a folder of classes alone is split by a fixed seed, a tenth each for validation and test.

    Raises:
        TaskError: A split is empty, or holds a class that training lacks.
    """
    names = class_names(folder)
    root = folder / "train"
    if not root.is_dir():
        listing = _list(folder, names)
        order, n_held_out = stratified_order(listing.classes, SPLIT_SEED), round(HELD_OUT_SHARE * len(listing))
        parts = torch.split(order, [len(order) - 2 * n_held_out, n_held_out, n_held_out])
        return _not_empty(folder, [listing.chosen(part) for part in parts])
    held_out = next((path for name in ("val", "validation") if (path := folder / name).is_dir()), None)
    if held_out is None:
        raise TaskError(f"{folder} must hold `val` beside `train`, but does not: add it, or give {root} alone")
    train, validation = _list(root, names), _list(held_out, names)
    if (folder / "test").is_dir():
        return _not_empty(folder, [train, validation, _list(folder / "test", names)])
    halves = stratified_order(validation.classes, SPLIT_SEED).tensor_split(2)
    return _not_empty(folder, [train, *(validation.chosen(half) for half in halves)])


def load_folder(folder: Path, *, size: int, limit: int = LIMIT) -> TaskData:
    """The three splits in memory, each thinned to what the limit allows; what is left out is logged.

    Args:
        folder: See `list_splits`.
        size: Side of the images, in pixels.
        limit: Training images at most; validation and test a third of it each.

    Raises:
        TaskError: Not such a folder, or a file that is no image.
    """
    splits = []
    for name, listing in zip(("training", "validation", "test"), list_splits(folder), strict=True):
        most = limit if name == "training" else max(1, limit // HELD_OUT_PER_TRAIN)
        kept = listing.chosen(stratified_order(listing.classes, SPLIT_SEED)[:most])
        gigabytes = len(kept) * 3 * size**2 * 4 / 1e9
        left_out = f" of {len(listing):,} (limit=N in the task's name changes that)" if len(kept) < len(listing) else ""
        _log.info("reading %s %s images%s, %.1f GB in memory", f"{len(kept):,}", name, left_out, gigabytes)
        splits.append(Split(_read_all(kept.files, size, name), kept.classes))
    return TaskData(*splits)


def _list(root: Path, names: Sequence[str]) -> Listing:
    unknown = sorted({path.name for path in root.iterdir() if path.is_dir() and path.name[0] != "."} - set(names))
    if unknown:
        raise TaskError(f"{root} must hold only classes that train holds, got {unknown[0]!r}: remove or add it there")
    found = [
        (path, position)
        for position, name in enumerate(names)
        for path in sorted((root / name).rglob("*"))
        if path.suffix.lower() in SUFFIXES
    ]
    return Listing(tuple(path for path, _ in found), torch.tensor([position for _, position in found]))


def _not_empty(folder: Path, splits: Sequence[Listing]) -> tuple[Listing, Listing, Listing]:
    train, validation, test = splits
    for name, split in (("train", train), ("validation", validation), ("test", test)):
        if not len(split):
            raise TaskError(f"{folder} must hold images for {name}, but has none: add some ({', '.join(SUFFIXES)})")
    return train, validation, test


def _read_all(files: Sequence[Path], size: int, name: str) -> Tensor:
    """Images as (n, 3, size, size), normalised."""
    inputs = torch.empty(len(files), 3, size, size)
    began = told = time.monotonic()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # decoding leaves Python's lock
        for position, image in enumerate(pool.map(lambda file: _read_one(file, size), files)):
            inputs[position] = image
            now = time.monotonic()
            if now - told > TELL_EVERY_S:
                told = now
                left_s = (now - began) / (position + 1) * (len(files) - position - 1)
                _log.info("read %d of %d %s images, %.0f s left", position + 1, len(files), name, left_s)
    return inputs


def _read_one(file: Path, size: int) -> Tensor:
    """One image as (3, size, size): resized, its middle cut out, normalised."""
    import numpy as np
    from PIL import Image

    try:
        with Image.open(file) as image:
            image.draft("RGB", (round(MARGIN * size), round(MARGIN * size)))  # lets JPEG decode at a smaller scale
            shorter = min(image.size)
            scaled = [max(size, round(side * MARGIN * size / shorter)) for side in image.size]
            left, top = (scaled[0] - size) // 2, (scaled[1] - size) // 2
            fitted = image.convert("RGB").resize((scaled[0], scaled[1])).crop((left, top, left + size, top + size))
            pixels = torch.from_numpy(np.array(fitted))
    except (OSError, ValueError, SyntaxError) as error:  # SyntaxError: what Pillow raises on a broken PNG
        reason = " ".join(str(error).split())
        raise TaskError(f"{file} must be an image, but cannot be read ({reason}): remove it") from error
    mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in (MEAN, DEVIATION))
    return (pixels.permute(2, 0, 1).float() / 255 - mean) / deviation
