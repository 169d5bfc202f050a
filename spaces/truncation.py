"""The best approximation of a matrix by one of lower rank, and what it loses; of a layer, for its inputs too.

Everything is computed from the smaller Gram matrix: its eigenvalues are the squared singular values, and a projection
on its leading eigenvectors is exact at full rank however close the eigenvalues lie. So single precision is enough for
weights that have no more: at rank 1536 of a 1536 x 1536 matrix the product is within 2e-6 of it, in half the time.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_MOMENT = 1e-9
"""Share of the mean second moment that every direction of the inputs has at least, so that no root is zero."""
GRAM_BLOCK = 256
"""Rows at a time."""


def singular_energy(matrix: Tensor) -> Tensor:
    """Squared singular values, largest first, shape (min(a, b),)."""
    return _descending(torch.linalg.eigvalsh(_small_gram(_computable(matrix))))


def output_energy(weight: Tensor, moment: Tensor) -> Tensor:
    """Squared singular values of `W S` with `S Sᵀ = E[x xᵀ]`: the mean squared outputs along their main directions.

    Args:
        weight: Shape (out, in).
        moment: Second moment of the inputs, shape (in, in), in float64.

    Returns:
        Largest first, shape (min(out, in),).
    """
    weight = _computable(weight)
    if weight.shape[0] <= weight.shape[1]:
        return _descending(torch.linalg.eigvalsh(weight @ moment.to(weight) @ weight.T))
    return singular_energy(weight @ _root(moment).to(weight))


def truncate(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """(a, b) → (a, r) and (r, b), the singular values shared evenly between the two (Eckart and Young 1936).

    The factors of a smaller rank are the leading columns and rows of those of a larger one.
    """
    matrix = _computable(matrix)
    if matrix.shape[0] > matrix.shape[1]:
        right, left = truncate(matrix.T, rank)
        return left.T, right.T
    basis = _leading_eigenvectors(_small_gram(matrix), rank)
    return _balanced(basis, basis.T @ matrix)


def truncate_for_inputs(weight: Tensor, moment: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Like `truncate`, but with the least mean squared error of the outputs for inputs of that second moment.

    The SVD of `W S` is truncated and multiplied back by `S⁻¹`. With U its left singular vectors that is `U Uᵀ W`, which
    needs no inverse.

    Args:
        weight: Shape (out, in).
        moment: Second moment of the inputs, shape (in, in), in float64.
        rank: Of the factors.

    Returns:
        (out, r) and (r, in) in float64: a few inputs may be so much larger than the rest that single precision would
        see only those.
    """
    weight, moment = weight.double(), moment.to(weight.device)
    if weight.shape[0] <= weight.shape[1]:
        basis = _leading_eigenvectors(weight @ moment @ weight.T, rank)
    else:
        whitened = weight @ _root(moment)
        # The columns are orthogonal up to rounding; QR keeps them so where their singular values are next to nothing.
        basis = torch.linalg.qr(whitened @ _leading_eigenvectors(_small_gram(whitened), rank)).Q
    return _balanced(basis, basis.T @ weight)


def leading_directions(matrix: Tensor) -> Tensor:
    """All left singular vectors, as columns of shape (a, a), those of the largest singular values first."""
    return _leading_eigenvectors(_gram(_computable(matrix)), len(matrix))


def _leading_eigenvectors(gram: Tensor, n: int) -> Tensor:
    """Eigenvectors of the n largest eigenvalues of a symmetric matrix, as columns, largest first."""
    vectors: Tensor = torch.linalg.eigh(gram).eigenvectors  # ascending
    return vectors.flip(1)[:, :n]


def _computable(matrix: Tensor) -> Tensor:
    """The matrix in its own precision, or in single precision where eigenvalues cannot be computed in that."""
    return matrix if matrix.dtype in (torch.float32, torch.float64) else matrix.float()


def _small_gram(matrix: Tensor) -> Tensor:
    """`M Mᵀ` or `Mᵀ M`, whichever is smaller."""
    return _gram(matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T)


def _gram(matrix: Tensor) -> Tensor:
    """`M Mᵀ` in its lower triangle, which is all that the eigenvalue routines read: up to a third of the time less."""
    gram = matrix.new_zeros(len(matrix), len(matrix))
    for start in range(0, len(matrix), GRAM_BLOCK):
        rows = slice(start, start + GRAM_BLOCK)
        gram[rows, : rows.stop] = matrix[rows] @ matrix[: rows.stop].T
    return gram


def _descending(eigenvalues: Tensor) -> Tensor:
    return eigenvalues.clamp_min(0).flip(0)


def _root(moment: Tensor) -> Tensor:
    """S with `S Sᵀ` the moment, by its eigenvectors: few samples make it singular, where a Cholesky factor fails."""
    values, vectors = torch.linalg.eigh(moment)
    root: Tensor = vectors * values.clamp_min(LEAST_MOMENT * float(values.mean().clamp_min(1e-30))).sqrt()
    return root


def _balanced(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal columns and what they are multiplied by, as two factors whose components have equal norms."""
    roots = torch.linalg.vector_norm(right, dim=1).sqrt()
    # Not to zero: a component with two factors of zero would have no gradient.
    roots = roots.clamp_min(1e-8 * float(roots.max()) or 1.0)
    return left * roots, right / roots[:, None]
