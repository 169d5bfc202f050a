"""What flows into and out of some modules of a network, and how its outputs follow from it, to first order."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

MAX_PROJECTIONS = 16
"""Backward passes: one per output where there are no more, else random sums of the outputs stand for them."""
LEAST_PROJECTIONS = 2
FEW = 2
"""Samples, the fewest: of one alone a forward that squeezes its outputs makes another shape."""
MEMORY_BYTES = 1 << 30
"""What inputs, outputs and gradients of the modules may take: of a large network fewer samples are looked at."""


@dataclass(frozen=True, slots=True)
class Tap:
    """One call of a module.

    Attributes:
        inputs: What it read, shape (n, ...).
        outputs: What it gave, shape (n, ...).
        input_slopes: Derivatives of the projected outputs by what this call alone read, shape (projections, n, ...).
        output_slopes: By what it gave, likewise.
    """

    inputs: Tensor
    outputs: Tensor
    input_slopes: Tensor
    output_slopes: Tensor

    def effect(self, change: Tensor) -> Tensor:
        """What a change of what it gave does to the projected outputs, shape (n, projections)."""
        return torch.einsum("knf,nf->nk", self.output_slopes.flatten(2), change.flatten(1))


@dataclass(frozen=True, slots=True)
class Taps:
    """All calls of the modules asked for.

    Attributes:
        outputs: Of the network, projected, shape (n, projections).
        calls: By name of the module, in order.
    """

    outputs: Tensor
    calls: Mapping[str, Sequence[Tap]]


def tap(module: fx.GraphModule, inputs: Tensor, names: Collection[str]) -> Taps | None:
    """Runs a network forward once, and backward a few times.

    Args:
        module: In evaluation mode; not touched.
        inputs: Shape (n, ...); of these as many are used as the memory allows.
        names: Modules whose first argument and result are tensors.

    Returns:
        None where the outputs are no tensor with an entry per sample, or do not follow smoothly from what any of the
        modules gives.
    """
    counter, few = _Recorder(module, names), inputs[:FEW]
    with torch.no_grad():
        outputs = counter.run(few)
    if not isinstance(outputs, Tensor) or not outputs.is_floating_point() or outputs.shape[:1] != few.shape[:1]:
        return None
    n_projections = min(outputs[0].numel(), MAX_PROJECTIONS)
    n_bytes = sum(each.nbytes for call in counter.recorded for each in call[1:]) // len(few)
    n_pairs = MEMORY_BYTES // max(1, n_bytes)
    while n_projections > LEAST_PROJECTIONS and n_projections**2 > n_pairs:
        n_projections -= 1
    recorder = _Recorder(module, names)
    with torch.enable_grad():
        outputs = recorder.run(inputs[: max(FEW, n_pairs // n_projections)])
        if not outputs.requires_grad:
            return None
        projected = _projected(outputs.reshape(len(outputs), -1), n_projections)
        tensors = [each for call in recorder.recorded for each in call[1:]]
        slopes = [each.new_empty((n_projections, *each.shape)) for each in tensors]
        for k, column in enumerate(projected.T):
            found = torch.autograd.grad(column.sum(), tensors, retain_graph=True, materialize_grads=True)
            for slope, one in zip(slopes, found, strict=True):
                slope[k] = one
    if not any(slope.any() for slope in slopes):
        return None
    calls: dict[str, list[Tap]] = {name: [] for name in names}
    for (name, read, given), of_read, of_given in zip(recorder.recorded, slopes[::2], slopes[1::2], strict=True):
        calls[name].append(Tap(read.detach(), given.detach(), of_read, of_given))
    return Taps(projected.detach(), calls)


class _Recorder(fx.Interpreter):
    """Runs a graph and notes (name, what was read, what was given) of every call of some modules."""

    def __init__(self, module: fx.GraphModule, names: Collection[str]) -> None:
        super().__init__(module)
        self._names = frozenset(names)
        self.recorded: list[tuple[str, Tensor, Tensor]] = []

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """As of the base class."""
        if target not in self._names:
            return super().call_module(target, args, kwargs)
        # A value of its own: the derivative by it is that along this call alone, whoever else reads the same.
        first, *others = *args, *kwargs.values()  # a layer may be called by keyword
        read = first.clone()
        if torch.is_grad_enabled() and not read.requires_grad:
            read.requires_grad_()
        given = super().call_module(target, (read, *others), {})
        self.recorded.append((target, read, given))
        return given


def _projected(outputs: Tensor, n_projections: int) -> Tensor:
    """The outputs themselves, or as many sums of them with random signs, shape (n, projections)."""
    n_outputs = outputs.shape[1]
    if n_outputs == n_projections:
        return outputs
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (n_outputs, n_projections), generator=generator) * 2 - 1
    return outputs @ signs.to(outputs) / math.sqrt(n_projections)
