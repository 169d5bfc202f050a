"""Puts the sparse weights of a loaded network together, once for all of its inferences."""

from __future__ import annotations

import operator
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, fx

from ..errors import MeasurementError
from ..export.sparse_linear import csr_linear, csr_matrix, sparse_product


def build_sparse_weights(module: fx.GraphModule) -> None:
    """Lets sparse layers compute with weights that are put together and checked here, in place.

    Args:
        module: Of an archive that was read; without sparse layers it stays as it is.

    Raises:
        MeasurementError: A weight is not complete or not sound.
    """
    calls = [node for node in module.graph.nodes if node.target is torch.ops.parefront.csr_linear.default]
    vectors: set[str] = set()
    for position, node in enumerate(calls):
        x, rows, columns, values, bias, in_features = _arguments(node)
        name = f"sparse_weight_{position}"
        try:
            # Copies, so that nothing in the graph can change them after they were checked.
            copies = [_constant(module, each).clone() for each in (rows, columns, values)]
            module.register_buffer(name, csr_matrix(copies[0], copies[1], copies[2], in_features), persistent=False)
        except (RuntimeError, AttributeError, TypeError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise MeasurementError(
                f"a sparse weight must have rows, columns and values that agree, got {reason} for {node.name!r}: "
                "export it again"
            ) from error
        vectors |= {str(each.target) for each in (rows, columns, values)}
        with module.graph.inserting_before(node):
            held = module.graph.get_attr(name)
        node.target, node.args, node.kwargs = sparse_product, (x, held, bias), {}
    if calls:
        module.graph.eliminate_dead_code()
        _remove(module, vectors)
        module.recompile()


def _arguments(node: fx.Node) -> tuple[Any, ...]:  # Any: nodes and numbers
    """The arguments of a call in order, however they are given."""
    names = [argument.name for argument in csr_linear._opoverload._schema.arguments]
    return tuple({**dict(zip(names, node.args, strict=False)), **node.kwargs}.get(name) for name in names)


def _constant(module: fx.GraphModule, node: Any) -> Tensor:  # Any: what stands in a graph that was read
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        raise TypeError("a vector that is computed")
    value = operator.attrgetter(str(node.target))(module)
    if not isinstance(value, Tensor):
        raise TypeError(f"a {type(value).__name__}")
    return value


def _remove(module: fx.GraphModule, names: Collection[str]) -> None:
    """Frees tensors that the graph reads no longer."""
    read = {str(node.target) for node in module.graph.nodes if node.op == "get_attr"}
    for name in set(names) - read:
        owner, _, last = name.rpartition(".")
        delattr(module.get_submodule(owner), last)
