"""MACs: multiply-accumulate operations per sample, for information; they are not latency."""

from __future__ import annotations

from torch import Tensor, fx

from ..spaces.network import describe_layer, is_layer, module_of, propagate_shapes
from .evaluator import Score


def count_macs(module: fx.GraphModule, example_inputs: tuple[Tensor, ...]) -> int:
    """MACs of the convolutions and linear layers of a network for one sample; one fused multiply-add is one MAC."""
    propagate_shapes(module, example_inputs)
    total = 0
    for node in module.graph.nodes:
        if is_layer(module_of(module, node)):
            total += describe_layer(module, node).macs
    return total


def macs_score(module: fx.GraphModule, example_inputs: tuple[Tensor, ...]) -> Score:
    """`count_macs` as a score."""
    return Score("macs", float(count_macs(module, example_inputs)), "MACs", is_higher_better=False)
