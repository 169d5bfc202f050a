"""How the techniques work where there is more than one good way: values that a person may set for a whole run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from ..hardware_profiles.errors import SpaceError, unknown_name
from .importance import METHODS, measure_importances
from .input_moments import measure_input_moments
from .network import Network
from .patch_moments import measure_patch_moments
from .ranges import DEFAULT_METHOD, method_names
from .substitute import fitting_layers

LARGEST_MOMENT = 1024
"""Inputs of the widest linear layer whose second moment is measured: 8 MB each in float64."""
LARGEST_PATCH = 2304
"""Inputs under the kernel of the largest convolution for which it is measured, 256 channels of 3 x 3: 42 MB each."""


@dataclass(frozen=True, slots=True)
class CompressionOptions:
    """Ways of the techniques.

    Attributes:
        importance: How channels are ranked: one of `importance.METHODS`.
        ranges: How activation ranges are calibrated: one of `ranges.method_names()`.
        has_bias_correction: Whether biases make up for what rounding adds on average; one more pass over the
            calibration data for each candidate.
        has_cp: Whether CP is offered among the rank choices; its components tend to destabilise fine-tuning.
        has_operators: Whether convolutions are offered other operators: 1 x 1, depthwise-separable, Fire modules.
        has_stored: Whether choices are offered that change nothing but what is stored: `sparsity` and `code`. Without
            it `sparsity` is offered where the hardware skips zeros.
        only: Techniques that are offered; empty for all of these.

    Raises:
        SpaceError: A name is unknown.
    """

    importance: str = "l2"
    ranges: str = DEFAULT_METHOD
    has_bias_correction: bool = False
    has_cp: bool = False
    has_stored: bool = False
    has_operators: bool = False
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.importance not in METHODS:
            raise SpaceError(unknown_name("importance", self.importance, METHODS))
        if self.ranges not in method_names():
            raise SpaceError(unknown_name("calibration", self.ranges, method_names()))

    def to_json(self) -> dict[str, Any]:
        """Plain data, for keys and records."""
        return {**dataclasses.asdict(self), "only": list(self.only)}


DEFAULT_OPTIONS = CompressionOptions()


def observe(
    network: Network,
    calibration: Tensor,
    options: CompressionOptions,
    loss: Callable[[nn.Module], Tensor] | None = None,
) -> Network:
    """The network with what is measured on data: what its layers are fed, and the importances of channels.

    Args:
        network: As traced; not touched.
        calibration: Training inputs, shape (n, ...).
        options: Which importances, and whether operators are fitted to what convolutions are fed.
        loss: The loss of a network on calibration data, for the importance `taylor`.
    """
    linear = [each.name for each in network.layers if each.kind == "linear" and each.in_channels <= LARGEST_MOMENT]
    once = [name for name in linear if network.layer(name).n_calls == 1]
    moments = measure_input_moments(network, calibration, once) if once else {}
    importances = measure_importances(network.module, network.follower.map, options.importance, loss)
    convolutions = fitting_layers(network, LARGEST_PATCH) if options.has_operators else []
    patches = measure_patch_moments(network.module, calibration, convolutions) if convolutions else {}
    return replace(network, input_moments=moments, patch_moments=patches, importances=importances)
