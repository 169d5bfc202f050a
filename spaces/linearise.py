"""Activations that turn linear, the first half of folding.

Source: layer folding, METHODS section 6; for ReLU this is a PReLU of slope α.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


class LinearisedActivation(nn.Module):
    """`alpha * x + (1 - alpha) * activation(x)`: the activation at 0, the identity at 1."""

    alpha: Tensor

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        own: Any = copy.deepcopy(activation)  # nn.Module does not say that many have `inplace`
        if hasattr(own, "inplace"):
            own.inplace = False  # it would overwrite the x of `alpha * x`
        self.activation: nn.Module = own
        self.register_buffer("alpha", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape in, the same shape out."""
        return torch.lerp(self.activation(x), x, self.alpha)


def set_linearity(module: nn.Module, alpha: float) -> None:
    """Sets α of every linearised activation of a prepared network, between 0 (as it was) and 1 (linear)."""
    for submodule in module.modules():
        if isinstance(submodule, LinearisedActivation):
            submodule.alpha.fill_(alpha)


def is_linearising(module: nn.Module) -> bool:
    """Whether a network has an activation that turns linear, or has turned."""
    return any(isinstance(each, LinearisedActivation) for each in module.modules())
