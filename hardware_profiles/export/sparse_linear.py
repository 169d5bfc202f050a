"""A linear layer of few non-zero weights that PyTorch executes as such: an operator of its own, kept in archives.

PyTorch exports no sparse tensors, so the layer holds the three vectors of its compressed rows (CSR) as plain ones, and
the operator `parefront::csr_linear` puts them together. Whoever loads such an archive without parefront's runtimes must
import this module before.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Collection

import torch
from torch import Tensor, nn

from .lowering import put_module

SPARSE_OPERATOR = "parefront.csr_linear"
_SCHEMA = "(Tensor x, Tensor rows, Tensor columns, Tensor values, Tensor? bias, SymInt in_features) -> Tensor"


def csr_matrix(rows: Tensor, columns: Tensor, values: Tensor, in_features: int) -> Tensor:
    """Puts a sparse weight together.

    Args:
        rows: Where each output's weights begin, and the end of the last, shape (out + 1,), int32.
        columns: The input of each weight, shape (n,), int32.
        values: The weights, shape (n,).
        in_features: Inputs of the layer.

    Returns:
        Sparse, shape (out, in).

    Raises:
        RuntimeError: The vectors are no such weight. Without the check the product would read and write anywhere.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        shape = (len(rows) - 1, in_features)
        return torch.sparse_csr_tensor(rows, columns, values, shape, check_invariants=True)


def sparse_product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What a linear layer computes.

    Args:
        x: Shape (..., in).
        weight: From `csr_matrix`, shape (out, in).
        bias: Shape (out,), or none.

    Returns:
        Shape (..., out).
    """
    vectors = x.reshape(-1, x.shape[-1])
    # A single vector has a routine of its own, two to four times as fast as that of a matrix of one column.
    product = torch.mv(weight, vectors[0])[None] if len(vectors) == 1 else (weight @ vectors.t()).t()
    result = product if bias is None else product + bias
    return result.reshape(*x.shape[:-1], weight.shape[0]).contiguous()


@torch.library.custom_op("parefront::csr_linear", mutates_args=(), schema=_SCHEMA)
def csr_linear(
    x: Tensor, rows: Tensor, columns: Tensor, values: Tensor, bias: Tensor | None, in_features: int
) -> Tensor:
    """The operator of an archive, which puts the weight together at every call; a session does it once."""
    return sparse_product(x, csr_matrix(rows, columns, values, in_features), bias)


@csr_linear.register_fake
def _shape_of_result(
    x: Tensor, rows: Tensor, columns: Tensor, values: Tensor, bias: Tensor | None, in_features: int
) -> Tensor:
    return x.new_empty((*x.shape[:-1], rows.shape[0] - 1))


class SparseLinear(nn.Module):
    """A linear layer that holds its non-zero weights alone."""

    rows: Tensor
    columns: Tensor
    values: Tensor

    def __init__(self, layer: nn.Linear) -> None:
        """Takes the weights of a layer that are not zero.

        Args:
            layer: In float; it is left as it is.
        """
        super().__init__()
        weight = layer.weight.detach()
        is_kept = weight != 0
        self.in_features = layer.in_features
        ends = torch.cat([torch.zeros(1, dtype=torch.int64), is_kept.sum(1).cumsum(0)])
        # In 32 bits, as the library takes them that computes the product; half the bytes, too.
        self.register_buffer("rows", ends.int())
        self.register_buffer("columns", is_kept.nonzero()[:, 1].int())
        self.register_buffer("values", weight[is_kept])
        self.bias: Tensor | None = copy.deepcopy(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        result: Tensor = csr_linear(x, self.rows, self.columns, self.values, self.bias, self.in_features)
        return result


def with_sparse_layers(module: nn.Module, layers: Collection[str]) -> nn.Module:
    """A copy of a network in which some linear layers execute their non-zero weights alone."""
    changed = copy.deepcopy(module)
    for name in layers:
        layer = changed.get_submodule(name)
        assert isinstance(layer, nn.Linear), "check_plan refuses other layers"
        put_module(changed, name, SparseLinear(layer))
    return changed
