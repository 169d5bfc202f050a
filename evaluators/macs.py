"""MACs: multiply-accumulate operations per sample, for information; they are not latency."""

from __future__ import annotations

from torch import Tensor, fx, nn

from ..spaces.network import describe_layer, module_of, propagate_shapes
from .evaluator import Score


def count_macs(module: fx.GraphModule, example_input: Tensor) -> int:
    """MACs of the convolutions and linear layers of a network for one sample; one fused multiply-add is one MAC."""
    propagate_shapes(module, example_input)
    total = 0
    for node in module.graph.nodes:
        submodule = module_of(module, node)
        if isinstance(submodule, nn.Conv2d | nn.Linear):
            total += describe_layer(str(node.target), submodule, node.meta["tensor_meta"].shape).macs
    return total


def macs_score(module: fx.GraphModule, example_input: Tensor) -> Score:
    """`count_macs` as a score."""
    return Score("macs", float(count_macs(module, example_input)), "MACs", is_higher_better=False)
