"""Splitting and thinning a data set so that every part holds each class in its share."""

from __future__ import annotations

import torch
from torch import Tensor


def stratified_order(classes: Tensor, seed: int) -> Tensor:
    """A random order of samples in which every run of them, long enough, holds the classes in their shares.

    Args:
        classes: Shape (n,).
        seed: Of the order within each class.

    Returns:
        Positions, shape (n,).
    """
    generator = torch.Generator().manual_seed(seed)
    place = torch.empty(len(classes), dtype=torch.float64)
    for each in torch.unique(classes):
        members = (classes == each).nonzero().flatten()
        members = members[torch.randperm(len(members), generator=generator)]
        # Spread evenly between 0 and 1, from an own start, so that rare classes do not all come in the middle.
        start = torch.rand(1, generator=generator, dtype=torch.float64)
        place[members] = (torch.arange(len(members)) + start) / len(members)
    return place.argsort(stable=True)
