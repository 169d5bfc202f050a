"""A layer as a matrix: what it is fed and what it gives, one row for each place at which its kernel is applied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..hardware_profiles.errors import TrainingError

MatrixLayer = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear
"""Layers whose outputs are rows of inputs times a matrix. Transposed convolutions are not among them."""


def matrix_layers(module: nn.Module, names: Iterable[str] | None = None) -> dict[str, MatrixLayer]:
    """The convolutions and linear layers of a network by dotted name.

    Args:
        module: The network.
        names: Those wanted; all where None.

    Raises:
        TrainingError: A name is no such layer.
    """
    found = {name: layer for name, layer in module.named_modules() if isinstance(layer, MatrixLayer)}
    if names is None:
        return found
    names = list(names)
    unknown = [name for name in names if name not in found]
    if unknown:
        raise TrainingError(
            f"a layer must be a convolution or linear, {unknown[0]!r} is none of this network: name one of its layers"
        )
    return {name: found[name] for name in names}


def weight_rows(layer: MatrixLayer) -> Tensor:
    """The weight, detached: (out, in / groups, ...) → (groups, out / groups, in / groups · kernel)."""
    return layer.weight.detach().reshape(n_groups(layer), -1, layer.weight[0].numel())


def n_groups(layer: MatrixLayer) -> int:
    """Of a convolution; 1 for a linear layer."""
    return 1 if isinstance(layer, nn.Linear) else layer.groups


def input_rows(layer: MatrixLayer, inputs: Tensor) -> Tensor:
    """What the layer's matrix is multiplied with, padding included.

    Args:
        layer: Linear, or a convolution of one to three axes.
        inputs: Shape (n, ..., in) or (n, in, ...).

    Returns:
        Shape (groups, rows, in / groups · kernel), rows in the order of `output_rows`.
    """
    if isinstance(layer, nn.Linear):
        return inputs.reshape(1, -1, layer.in_features)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    windows = functional.pad(inputs, _padding(layer), mode)
    for axis, (size, stride, step) in enumerate(zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)):
        windows = windows.unfold(2 + axis, step * (size - 1) + 1, stride)[..., ::step]
    n_axes = len(layer.kernel_size)
    # (n, in, positions, kernel) -> (n, positions, in, kernel)
    windows = windows.movedim(1, 1 + n_axes)
    rows = windows.reshape(-1, layer.groups, layer.weight[0].numel())
    return rows.movedim(1, 0)


def output_rows(layer: MatrixLayer, outputs: Tensor) -> Tensor:
    """(n, ..., out) or (n, out, ...) → (rows, out)."""
    return (outputs if isinstance(layer, nn.Linear) else outputs.movedim(1, -1)).flatten(0, -2)


def calls_of(
    module: nn.Module, layers: Iterable[str], calibration: Tensor | tuple[Tensor, ...], batch_size: int = 32
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Runs a network on calibration inputs, and gives each call of the layers: name, inputs, outputs.

    Args:
        module: In evaluation mode, or its statistics would change.
        layers: Their names.
        calibration: Shape (n, ...), or one such tensor per input.
        batch_size: Samples at a time.

    Raises:
        TrainingError: There are no samples.
    """
    inputs = calibration if isinstance(calibration, tuple) else (calibration,)
    if len(inputs[0]) == 0:
        raise TrainingError("calibration needs at least one sample, got 0: give it some of the training split")
    calls: list[tuple[str, Tensor, Tensor]] = []
    handles = [
        layer.register_forward_hook(
            lambda _, arguments, output, name=name: calls.append((name, arguments[0].detach(), output.detach()))
        )
        for name, layer in matrix_layers(module, layers).items()
    ]
    try:
        for batch in zip(*(torch.split(each, batch_size) for each in inputs), strict=True):
            with torch.no_grad():
                module(*batch)
            yield from calls
            calls.clear()
    finally:
        for handle in handles:
            handle.remove()


def _padding(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> list[int]:
    """Before and after each axis, the last axis first, as `functional.pad` wants it."""
    sizes: list[int] = []
    for axis in reversed(range(len(layer.kernel_size))):
        if layer.padding == "same":
            total = layer.dilation[axis] * (layer.kernel_size[axis] - 1)
            sizes += [total // 2, total - total // 2]
        elif layer.padding == "valid":
            sizes += [0, 0]
        else:
            assert not isinstance(layer.padding, str)
            sizes += [layer.padding[axis]] * 2
    return sizes
