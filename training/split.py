"""A part of a task's data: inputs and targets, in batches that a seed orders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..hardware_profiles.errors import TaskError


@dataclass(frozen=True, slots=True)
class Batch:
    """Some samples of a split.

    Attributes:
        inputs: Shape (n, ...).
        targets: Shape (n, ...).
        indices: Positions of the samples in the split, shape (n,).
    """

    inputs: Tensor
    targets: Tensor
    indices: Tensor


@dataclass(frozen=True, slots=True)
class Split:
    """Inputs and targets held in memory.

    Attributes:
        inputs: Shape (n, ...).
        targets: Shape (n, ...).
        origins: Shape (n,): samples with the same number come from one original (an image and its distortions) and
            are not independent; intervals are clustered by it. None where every sample stands for itself.
    """

    inputs: Tensor
    targets: Tensor
    origins: Tensor | None = None

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.targets) or len(self.inputs) == 0:
            raise TaskError(
                f"a split needs as many targets as inputs and at least one, got {len(self.inputs)} inputs and "
                f"{len(self.targets)} targets"
            )
        if self.origins is not None and len(self.origins) != len(self.inputs):
            raise TaskError(f"origins must be given per input ({len(self.inputs)}), got {len(self.origins)}")

    @classmethod
    def from_dataset(cls, dataset: Dataset[tuple[Tensor, int]], n_samples: int) -> Split:
        """The first `n_samples` of a map-style dataset of (input tensor, integer class), read into memory."""
        samples = [dataset[i] for i in range(n_samples)]
        return cls(torch.stack([x for x, _ in samples]), torch.tensor([y for _, y in samples]))

    def __len__(self) -> int:
        return len(self.inputs)

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """All samples once, in order."""
        for indices in torch.split(torch.arange(len(self)), batch_size):
            yield Batch(self.inputs[indices], self.targets[indices], indices)

    def shuffled_batches(self, batch_size: int, n_batches: int, seed: int) -> Iterator[Batch]:
        """`n_batches` full batches, going through the samples in a new order each time they are used up."""
        generator = torch.Generator().manual_seed(seed)
        size = min(batch_size, len(self))
        remaining = torch.empty(0, dtype=torch.long)
        for _ in range(n_batches):
            if len(remaining) < size:
                remaining = torch.randperm(len(self), generator=generator)
            indices, remaining = remaining[:size], remaining[size:]
            yield Batch(self.inputs[indices], self.targets[indices], indices)
