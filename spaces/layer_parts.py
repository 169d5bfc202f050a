"""The layers that one layer of a graph is replaced by, in a row or with the last of them side by side."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import fx, nn

from .chain import is_norm_of
from .channel_map import Holder
from .graph import n_calls, only_user, replace_module
from .operator_shapes import halves
from .shrink import shrink


class SideBySide(nn.ModuleList):
    """Holds a layer's parts `0`, `1`, …, of which the last two read the same and give the outputs side by side."""

    n_beside = 2


def replace_by_parts(module: fx.GraphModule, name: str, parts: Sequence[nn.Module], n_beside: int = 1) -> None:
    """Replaces one layer of a graph, in place, by several; each is a node, called `name.0`, `name.1` and so on.

    A BatchNorm behind layers that stand side by side is cut into theirs, so that it can be folded into them; of the
    replaced layer it keeps nothing but its numbers, and its parts are `name.norm1` and `name.norm2`.

    Args:
        module: The graph; to be recompiled afterwards.
        name: Of a layer that it calls once.
        parts: In the order in which they run. A single one takes the layer's name.
        n_beside: How many of the last ones give the outputs, one after the other along the channels: 1 or 2.
    """
    if len(parts) == 1:
        replace_module(module, name, parts[0])
        return
    node = next(node for node in module.graph.nodes if node.op == "call_module" and node.target == name)
    replace_module(module, name, nn.Sequential(*parts) if n_beside == 1 else SideBySide(parts))
    with module.graph.inserting_before(node):
        for position in range(len(parts) - n_beside):
            part = module.graph.call_module(f"{name}.{position}", node.args, node.kwargs)
            node.args, node.kwargs = (part,), {}
    node.target = f"{name}.{len(parts) - 1}"
    if n_beside > 1:
        _put_beside(module, name, node)


def output_parts(module: nn.Module, name: str) -> tuple[str, ...]:
    """The layers that give the outputs of the original layer `name`: itself, its last part, or those side by side."""
    layer = module.get_submodule(name)
    if not isinstance(layer, SideBySide | nn.Sequential):
        return (name,)
    n_beside = layer.n_beside if isinstance(layer, SideBySide) else 1
    return tuple(f"{name}.{position}" for position in range(n_parts(layer) - n_beside, n_parts(layer)))


def n_parts(container: nn.Module) -> int:
    """How many parts a layer became, without the BatchNorms between or behind them."""
    return sum(key.isdecimal() for key, _ in container.named_children())


def share_among_parts(module: nn.Module, name: str, n: int) -> dict[str, int]:
    """How many of so many output channels of the original layer `name` each of its `output_parts` gives."""
    parts = output_parts(module, name)
    return dict(zip(parts, halves(n) if len(parts) > 1 else (n,), strict=True))


def _put_beside(module: fx.GraphModule, name: str, last: fx.Node) -> None:
    """Joins the outputs of the two last parts, and what they give behind their BatchNorms where there is one."""
    norm = only_user(last)
    has_norm = norm is not None and is_norm_of(module, last, norm) and n_calls(module, norm) == 1
    end = norm if has_norm and norm is not None else last
    parts = output_parts(module, name)
    with module.graph.inserting_before(last):
        beside = [module.graph.call_module(parts[0], last.args, last.kwargs), last]
    with module.graph.inserting_after(end):
        joined = module.graph.call_function(torch.cat, (), {})
    end.replace_all_uses_with(joined)
    if end is not last:
        _cut_norm(module, name, str(end.target), parts)
        with module.graph.inserting_before(end):
            beside = [
                module.graph.call_module(f"{name}.norm{position}", (each,), {})
                for position, each in enumerate(beside, 1)
            ]
        module.graph.erase_node(end)
        module.delete_submodule(str(end.target))
    joined.args, joined.kwargs = (beside,), {"dim": 1}


def _cut_norm(module: fx.GraphModule, name: str, norm: str, parts: tuple[str, ...]) -> None:
    """Gives each of the parts its share of a BatchNorm over all of their channels."""
    start = 0
    for position, part in enumerate(parts, 1):
        n_channels = len(module.get_parameter(f"{part}.weight"))
        own = f"{name}.norm{position}"
        module.add_submodule(own, copy.deepcopy(module.get_submodule(norm)))
        keep = torch.arange(start, start + n_channels)
        shrink(module, Holder(own, "norm", keep.numpy()), keep)
        start += n_channels
