"""Which training samples a search looks at where it must not train: always the same ones for a seed."""

from __future__ import annotations

import torch

from ..training import Batch, Split

N_CALIBRATION = 256
"""Training samples for calibrating ranges."""


def draw_calibration(train: Split, seed: int) -> Batch:
    """The training samples that ranges, inputs and importances are measured on."""
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:N_CALIBRATION]
    return Batch(train.inputs[order], train.targets[order], order)
