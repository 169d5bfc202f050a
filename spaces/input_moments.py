"""What a network's linear layers are fed: the second moment of their inputs, from one pass over calibration data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from ..hardware_profiles.errors import SpaceError
from .network import Network

BATCH = 16
"""Samples at a time: the activations of one batch are all that is held."""


def measure_input_moments(
    network: Network, calibration: Tensor | tuple[Tensor, ...], layers: Iterable[str] | None = None
) -> Mapping[str, Tensor]:
    """E[x xᵀ] over samples and positions for the inputs of linear layers, in the uncompressed network.

    Args:
        network: The traced network; not touched.
        calibration: Training inputs, shape (n, ...), or one tensor for every input of the network.
        layers: Names of linear layers; all that the network calls where none are given.

    Returns:
        By layer, shape (in, in), in float64. A layer that the pass does not call is left out.

    Raises:
        SpaceError: A name is no linear layer of the network, or there are no samples.
    """
    inputs = calibration if isinstance(calibration, tuple) else (calibration,)
    if len(inputs[0]) == 0:
        raise SpaceError("input moments need at least one calibration sample, got 0: give the task more data")
    linear = [layer.name for layer in network.layers if layer.kind == "linear"]
    names = linear if layers is None else list(layers)
    unknown = [name for name in names if name not in linear]
    if unknown:
        raise SpaceError(f"input moments are measured for linear layers only, got {unknown[0]!r}: leave it out")
    sums: dict[str, Tensor] = {}
    counts = dict.fromkeys(names, 0)
    hooks = [
        network.module.get_submodule(name).register_forward_pre_hook(partial(_add, name, sums, counts))
        for name in names
    ]
    try:
        with torch.no_grad():
            for batch in zip(*(torch.split(each, BATCH) for each in inputs), strict=True):
                network.module(*batch)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: total / counts[name] for name, total in sums.items()}


def _add(
    name: str, sums: dict[str, Tensor], counts: dict[str, int], layer: nn.Module, arguments: tuple[Tensor, ...]
) -> None:
    rows = arguments[0].flatten(0, -2)  # (..., in) -> (positions, in)
    # The product of a batch in its own precision, several times as fast; the sum over batches in float64.
    product = (rows.T @ rows).double()
    sums[name] = sums[name] + product if name in sums else product
    counts[name] += len(rows)
