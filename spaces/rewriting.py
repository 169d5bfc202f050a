"""Brings a traced graph into a plain form: nothing overwritten, constants computed once, no size spelt out."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from ..hardware_profiles.errors import SpaceError
from .graph import attribute_of, free_name, module_of, run_node, shape_of

OUT_OF_PLACE: dict[Any, Callable[..., Any]] = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}
"""Operators that overwrite their first operand, each with the one that does not."""
_VIEWS = (
    "view view_as reshape permute transpose t swapaxes movedim flatten unflatten squeeze unsqueeze expand expand_as "
    "chunk split tensor_split unbind narrow select contiguous detach getitem getattr"
)
_RESHAPES: frozenset[Any] = frozenset({torch.reshape, "view", "reshape"})


def make_weights_plain(model: nn.Module) -> None:
    """Weight and spectral normalisation become the weights that they give, so that these can be changed."""
    for module in list(model.modules()):
        if not parametrize.is_parametrized(module):
            continue
        values = {name: getattr(module, name) for name in cast("nn.ModuleDict", module.parametrizations)}
        # Not with torch's `remove_parametrizations`: it edits the class, which the user's model shares.
        module.__class__ = type(module).__bases__[0]
        del module.parametrizations
        for name, value in values.items():
            module.register_parameter(name, nn.Parameter(value.detach().clone(), value.requires_grad))


def drop_identities(module: fx.GraphModule) -> None:
    """Takes out `nn.Identity`, behind which a shortcut would not be recognised."""
    for node in list(module.graph.nodes):
        if isinstance(module_of(module, node), nn.Identity):
            node.replace_all_uses_with(node.all_input_nodes[0])
            module.graph.erase_node(node)


def fold_constants(module: fx.GraphModule) -> None:
    """What depends on no input is computed once: a parameter where it comes from one (a position bias), or a buffer."""
    constant: dict[fx.Node, Any] = {}  # a node may give anything
    trained: set[fx.Node] = set()
    for node in module.graph.nodes:
        if not trained.isdisjoint(node.all_input_nodes):
            trained.add(node)
        if node.op == "get_attr":
            value = attribute_of(module, node)
            if isinstance(value, nn.Parameter) and value.requires_grad:
                trained.add(node)
            constant[node] = value.detach().clone() if isinstance(value, Tensor) else value
        elif _is_filled(node):
            constant[node] = _filled(node)
        elif _computes(node) and constant.keys() >= set(node.all_input_nodes):
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), constant.__getitem__)
            with torch.no_grad():
                constant[node] = run_node(module, node, args, kwargs)
    for node in list(constant):
        value = constant[node]
        is_read = any(user not in constant for user in node.users)
        if node.op == "get_attr" or not is_read or not isinstance(value, Tensor):
            continue
        name = free_name(module, node.name)
        if node in trained and value.is_floating_point():
            module.register_parameter(name, nn.Parameter(value.clone()))
        else:
            module.register_buffer(name, value.clone())
        node.op, node.target, node.args, node.kwargs = "get_attr", name, (), {}
    for node in reversed(list(constant)):
        if not node.users:
            module.graph.erase_node(node)
    module.recompile()


def undo_in_place(module: fx.GraphModule) -> None:
    """Operations that overwrite their input give a new tensor instead, which everything after them reads.

    Raises:
        SpaceError: Part of a tensor is written, or a view of one that is read elsewhere: no graph of values says that.
    """
    order = {node: position for position, node in enumerate(module.graph.nodes)}
    for node in list(module.graph.nodes):
        if node.op == "call_function" and node.target is operator.setitem:
            raise SpaceError(f"a forward must not write into part of a tensor, but does in {node.format_node()!r}")
        if not _overwrites(module, node):
            continue
        source = node.all_input_nodes[0]
        other = _shown_elsewhere(module, order, node)
        if other is not None:
            raise SpaceError(
                f"a forward must not overwrite {source.name!r} where {other.name!r}, the same memory, is read later"
            )
        source.replace_all_uses_with(node, delete_user_cb=lambda user, at=order[node]: order[user] > at)
        _make_out_of_place(module, node)
    module.recompile()


def free_flattening_of_sizes(module: fx.GraphModule) -> None:
    """`x.view(-1, 400)` becomes `torch.flatten(x, 1)`, which stays right when pruning leaves fewer than 400."""
    for node in module.graph.nodes:
        if node.op not in ("call_function", "call_method") or node.target not in _RESHAPES:
            continue
        source = node.all_input_nodes[0]
        before, after = shape_of(source), shape_of(node)
        if len(before) > 2 and tuple(after) == (before[0], before[1:].numel()):
            node.op, node.target, node.args, node.kwargs = "call_function", torch.flatten, (source, 1), {}
    module.graph.eliminate_dead_code()
    module.recompile()


def _overwrites(module: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return bool(getattr(module_of(module, node), "inplace", False))
    if node.op == "call_method":
        return str(node.target).endswith("_") and not str(node.target).endswith("__")
    if node.op != "call_function":
        return False
    place = _place_of_inplace(node.target)
    is_asked = node.kwargs.get("inplace") is True or (place is not None and node.args[place : place + 1] == (True,))
    return is_asked or node.target in OUT_OF_PLACE or _is_underscored(node.target)


def _place_of_inplace(function: Any) -> int | None:
    """The position of a function's parameter `inplace`, where it has one."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # built in
        return None
    return names.index("inplace") if "inplace" in names else None


def _is_underscored(function: Any) -> bool:
    """Whether a function is one of torch's that overwrite, such as `torch.relu_`."""
    name = str(getattr(function, "__name__", ""))
    return name.endswith("_") and not name.endswith("__") and hasattr(functional, name.removesuffix("_"))


def _make_out_of_place(module: fx.GraphModule, node: fx.Node) -> None:
    if node.op == "call_module":
        called: Any = module_of(module, node)  # has the attribute, or would not have been found
        called.inplace = False
    elif node.op == "call_method":
        node.target = str(node.target).removesuffix("_")
    elif node.target in OUT_OF_PLACE:
        node.target = OUT_OF_PLACE[node.target]
    elif _is_underscored(node.target):
        assert callable(node.target)
        node.target = getattr(functional, node.target.__name__.removesuffix("_"))
    else:
        place = _place_of_inplace(node.target)
        node.args = node.args if place is None else node.args[:place]  # nothing follows it
        node.kwargs = {name: value for name, value in node.kwargs.items() if name != "inplace"}


def _shown_elsewhere(module: nn.Module, order: dict[fx.Node, int], writer: fx.Node) -> fx.Node | None:
    """A tensor other than the one that a node overwrites that has the same memory, and is read afterwards."""
    source = writer.all_input_nodes[0]
    base = _viewed(module, source)
    for other, position in order.items():
        is_read_later = any(order[user] > order[writer] for user in other.users)
        if is_read_later and other is not source and position < order[writer] and _viewed(module, other) is base:
            return other
    return None


def _viewed(module: nn.Module, node: fx.Node) -> fx.Node:
    """The tensor whose memory a node shows."""
    while isinstance(module_of(module, node), nn.Flatten | nn.Unflatten) or (
        node.op in ("call_method", "call_function") and getattr(node.target, "__name__", node.target) in _VIEWS.split()
    ):
        node = node.all_input_nodes[0]
    return node


def _computes(node: fx.Node) -> bool:
    """Whether a node gives something other than an argument, a result or a module's own."""
    return node.op not in ("placeholder", "output") and (bool(node.all_input_nodes) or node.op == "call_function")


def _is_filled(node: fx.Node) -> bool:
    """Whether a node is a new tensor of a known size (`x.new_zeros((7, 7))`), which takes only its type from `x`."""
    is_new = node.op == "call_method" and str(node.target) in ("new_zeros", "new_ones", "new_full")
    return is_new and len(node.all_input_nodes) == 1


def _filled(node: fx.Node) -> Tensor:
    value: Tensor = getattr(torch.zeros(()), str(node.target))(*node.args[1:], **node.kwargs)
    return value
