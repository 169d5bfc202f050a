"""What values a network's tensors take on calibration data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, fx

from ..hardware_profiles.precision import TensorQuantization
from .ranges import quantize_activation

MAX_SAMPLES = 8_192
"""Values of a tensor that the range search looks at."""
BATCH = 32
"""Samples in one pass: all at once, the maps of a large network would fill the memory."""


def observe_ranges(
    module: fx.GraphModule, nodes: Iterable[fx.Node], calibration: tuple[Tensor, ...], method: str
) -> Mapping[fx.Node, TensorQuantization]:
    """Runs the calibration inputs once and finds the quantised range of each node's values.

    Args:
        module: The float network.
        nodes: Those to observe.
        calibration: Every input, shape (n, ...).
        method: See `quantize_activation`.
    """
    wanted = set(nodes)
    if not wanted:
        return {}
    samples: dict[fx.Node, list[Tensor]] = defaultdict(list)
    ends: dict[fx.Node, list[Tensor]] = defaultdict(list)
    n_batches = -(-len(calibration[0]) // BATCH)

    def look(node: fx.Node, value: Any) -> None:  # fx passes values of any type
        if node in wanted:
            flat = value.flatten()
            samples[node].append(_sample(flat, MAX_SAMPLES // n_batches))
            ends[node].append(torch.stack(torch.aminmax(flat)))

    for batch in batches(calibration):
        run_observed(module, batch, look)
    found = {}
    for node, seen in ends.items():
        low, high = torch.stack(seen)[:, 0].min(), torch.stack(seen)[:, 1].max()
        found[node] = quantize_activation(torch.cat(samples[node]), float(low), float(high), method)
    return found


def batches(calibration: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, ...]]:
    """The calibration inputs in parts of at most `BATCH` samples."""
    return zip(*(torch.split(each, BATCH) for each in calibration), strict=True)


def run_observed(module: fx.GraphModule, inputs: tuple[Tensor, ...], look: Any) -> None:
    """Runs a network without gradients and shows each node's value to `look(node, value)`."""

    class Observer(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:  # fx passes values of any type
            value = super().run_node(n)
            look(n, value)
            return value

    with torch.no_grad():
        Observer(module).run(*inputs)


def _sample(values: Tensor, n: int) -> Tensor:
    """At most n values. Drawn, because equal steps would meet the same columns of every image."""
    if len(values) <= n:
        return values.clone()
    return values[torch.randint(len(values), (max(1, n),), generator=torch.Generator().manual_seed(0))]
