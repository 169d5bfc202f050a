"""Where networks are trained."""

from __future__ import annotations

import torch


def training_device() -> str:
    """`cuda` where torch can use one, otherwise `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"
