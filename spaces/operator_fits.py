"""The weights of a compact operator that come nearest to a convolution: nearest in what it gives, by least squares.

With M the covariance of the patches under the kernel, an operator whose layers together have the weight W', and the
best bias, misses the layer's outputs by `tr((W - W') M (W - W')ᵀ)` on average. Neighbours in an image tell of each
other, so this is far less than the weights differ: M matters. Where the patches are unknown, it is the identity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .operator_shapes import POINTWISE, SEPARABLE, halves, parse_operator
from .truncation import truncate, truncate_for_inputs

DAMPINGS = (1e-6, 1e-4, 1e-2, 1.0)
"""Shares of the mean diagonal that are added to a matrix before it is solved with, the first that suffices: few patches
make it singular, and patches that are nearly alike make rounding show."""
ROUNDS = 8
"""Alternations between the two layers of a separable convolution; each is exact, so the error only falls."""


@dataclass(frozen=True, slots=True)
class OperatorFit:
    """What was found.

    Attributes:
        choice: The operator.
        kernel_size: Of the convolution.
        weights: Of the operator's layers in the order in which they run, in float64: 1 x 1 layers of shape (out, in),
            depthwise kernels (in, k * k), others (out, in, k * k).
    """

    choice: str
    kernel_size: tuple[int, ...]
    weights: tuple[Tensor, ...]

    @property
    def product(self) -> Tensor:
        """The weight of the one convolution that computes the same, float64, shape (out, in, k, k)."""
        kind, n_taps = parse_operator(self.choice)[0], math.prod(self.kernel_size)
        if kind == POINTWISE:
            (mixing,) = self.weights
            product = _centred(mixing, n_taps)
        elif kind == SEPARABLE:
            kernels, mixing = self.weights
            product = mixing[:, :, None] * kernels
        else:
            squeeze, first, second = self.weights
            wide = torch.einsum("nst,sc->nct", second, squeeze)
            product = torch.cat([_centred(first @ squeeze, n_taps), wide])
        return product.reshape(*product.shape[:2], *self.kernel_size)


def fit_operator(weight: Tensor, choice: str, metric: Tensor | None = None) -> OperatorFit:
    """The operator's weights that lose least of a convolution's outputs.

    Args:
        weight: Shape (out, in, k, k), k odd for operators with a 1 x 1 layer in the place of the kernel.
        choice: The operator.
        metric: M, shape (in · k · k, in · k · k); None for the identity.

    Raises:
        SpaceError: The choice is no operator.
    """
    kind, squeezed = parse_operator(choice)
    rows = weight.detach().double().flatten(2)  # (out, in, k * k)
    if kind == POINTWISE:
        weights: tuple[Tensor, ...] = (_regressed(rows, _middles(rows), metric),)
    elif kind == SEPARABLE:
        weights = _separable(rows, metric)
    else:
        weights = _fire(rows, squeezed, metric)
    return OperatorFit(choice, tuple(weight.shape[2:]), weights)


def lost_share(weight: Tensor, fit: OperatorFit, metric: Tensor | None = None) -> float:
    """Share of the variance of a layer's outputs that an operator misses, 0 for nothing."""
    whole = weight.detach().double().flatten(1)
    missed = whole - fit.product.flatten(1)
    return float(_energy(missed, metric) / _energy(whole, metric).clamp_min(torch.finfo(torch.float64).tiny))


def _energy(rows: Tensor, metric: Tensor | None) -> Tensor:
    return ((rows if metric is None else rows @ metric) * rows).sum()


def _regressed(rows: Tensor, basis: Tensor, metric: Tensor | None) -> Tensor:
    """(out, r): what to make of r combinations of the patch, shape (r, in * k * k), for outputs (out, in, k * k)."""
    seen = basis if metric is None else basis @ metric
    return _solved(seen @ basis.T, seen @ rows.flatten(1).T).T


def _separable(rows: Tensor, metric: Tensor | None) -> tuple[Tensor, Tensor]:
    """(in, k * k) and (out, in): for each input channel a matrix (out, k * k) of rank 1, all together in the metric."""
    left, values, right = torch.linalg.svd(rows.transpose(0, 1), full_matrices=False)
    mixing, kernels = left[:, :, 0].T * values[:, 0].sqrt(), right[:, 0] * values[:, :1].sqrt()
    if metric is not None:
        seen = rows.flatten(1) @ metric
        for _ in range(ROUNDS):
            mixing = _regressed(rows, _spread(kernels), metric)
            kernels = _kernels(mixing, seen, metric)
        kernels, mixing = _balanced(kernels, mixing)
    return kernels, mixing


def _spread(kernels: Tensor) -> Tensor:
    """(in, k * k) → (in, in * k * k): each kernel on the patch of its own channel."""
    n_inputs, n_taps = kernels.shape
    found = kernels.new_zeros(n_inputs, n_inputs, n_taps)
    found[torch.arange(n_inputs), torch.arange(n_inputs)] = kernels
    return found.flatten(1)


def _kernels(mixing: Tensor, seen: Tensor, metric: Tensor) -> Tensor:
    """(in, k * k): the best kernels for what is made of them; `seen` is W M, shape (out, in * k * k)."""
    n_taps = len(metric) // mixing.shape[1]
    spread = mixing.repeat_interleave(n_taps, 1)  # (out, in) -> (out, in * k * k)
    wanted = (spread * seen).sum(0)
    return _solved((spread.T @ spread) * metric, wanted[:, None]).reshape(-1, n_taps)


def _fire(rows: Tensor, squeezed: int, metric: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """(s, in), (first, s) and (second, s, k * k): the leading directions of the inputs, then least squares on these."""
    _, n_inputs, n_taps = rows.shape
    first, second = torch.split(rows, list(halves(len(rows))))
    narrow = _regressed(first, _middles(rows), metric)
    # (second, in, k * k) -> (second * k * k, in): all taps read the same few channels.
    matrix = torch.cat([narrow, second.transpose(1, 2).flatten(0, 1)])
    if metric is None:
        mixing, squeeze = truncate(matrix, squeezed)
        wide = mixing[len(first) :].reshape(len(second), n_taps, squeezed)
        return squeeze, mixing[: len(first)], wide.transpose(1, 2)
    of_channels = metric.reshape(n_inputs, n_taps, n_inputs, n_taps).diagonal(dim1=1, dim2=3).mean(2)
    _, squeeze = truncate_for_inputs(matrix, of_channels, squeezed)
    combined = torch.kron(squeeze, torch.eye(n_taps, dtype=squeeze.dtype))  # (s * k * k, in * k * k)
    narrow = _regressed(first, squeeze @ _middles(rows), metric)
    return squeeze, narrow, _regressed(second, combined, metric).reshape(len(second), squeezed, n_taps)


def _middles(rows: Tensor) -> Tensor:
    """(in, in * k * k): takes the middle of each channel's patch."""
    _, n_inputs, n_taps = rows.shape
    return _centred(torch.eye(n_inputs, dtype=rows.dtype), n_taps).flatten(1)


def _centred(matrix: Tensor, n_taps: int) -> Tensor:
    """(a, b) → (a, b, k * k), zero but in the middle of the kernel."""
    found = matrix.new_zeros(*matrix.shape, n_taps)
    found[:, :, n_taps // 2] = matrix
    return found


def _solved(matrix: Tensor, right: Tensor) -> Tensor:
    """The solution of a symmetric system; directions that are negative by rounding are held, more where it must be."""
    mean, identity = matrix.diagonal().mean().clamp_min(1e-30), torch.eye(len(matrix), dtype=matrix.dtype)
    for damping in DAMPINGS:
        factor, failed = torch.linalg.cholesky_ex(matrix + damping * mean * identity)
        if not int(failed):
            break
    solution: Tensor = torch.cholesky_solve(right, factor)
    return solution


def _balanced(kernels: Tensor, mixing: Tensor) -> tuple[Tensor, Tensor]:
    """The same product with as large numbers in both, channel by channel, so that one learning rate suits them."""
    norms = kernels.norm(dim=1), mixing.norm(dim=0)
    factor = (norms[1] / norms[0].clamp_min(1e-30)).sqrt().clamp(1e-6, 1e6)
    return kernels * factor[:, None], mixing / factor.clamp_min(1e-30)
