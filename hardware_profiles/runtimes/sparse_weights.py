"""Puts the sparse weights of a loaded network together, once for all of its inferences."""

from __future__ import annotations

import operator
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
    for position, node in enumerate(calls):
        x, rows, columns, values, bias, in_features = _arguments(node)
        try:
            constants = [_constant(module, each) for each in (rows, columns, values)]
            weight = csr_matrix(constants[0], constants[1], constants[2], in_features)
        except (RuntimeError, AttributeError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise MeasurementError(
                f"a sparse weight must have rows, columns and values that agree, got {reason} for {node.name!r}: "
                "export it again"
            ) from error
        name = f"sparse_weight_{position}"
        module.register_buffer(name, weight, persistent=False)
        with module.graph.inserting_before(node):
            held = module.graph.get_attr(name)
        node.target, node.args, node.kwargs = sparse_product, (x, held, bias), {}
    if calls:
        module.graph.eliminate_dead_code()
        module.recompile()


def _arguments(node: fx.Node) -> tuple[Any, ...]:  # Any: nodes and numbers
    """The arguments of a call in order, however they are given."""
    names = [argument.name for argument in csr_linear._opoverload._schema.arguments]
    return tuple({**dict(zip(names, node.args, strict=False)), **node.kwargs}.get(name) for name in names)


def _constant(module: fx.GraphModule, node: Any) -> Tensor:  # Any: what stands in a graph that was read
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        raise TypeError("a vector that is computed")
    value = operator.attrgetter(str(node.target))(module)
    assert isinstance(value, Tensor)
    return value
