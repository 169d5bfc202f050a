"""Second-order pruning: which weight costs least to remove, and what the others do to make up for it.

Layer by layer: what counts is the squared error of a layer's outputs on calibration inputs X, whose Hessian in a row of
the weight is `H = 2 X Xᵀ`, the same for all rows. Sources: LeCun et al. 1990 (OBD), Hassibi & Stork 1993 (OBS),
Frantar et al. 2022 (OBC), Frantar & Alistarh 2023 (SparseGPT, the sweep over columns).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn

from ..hardware_profiles.errors import TrainingError
from .layer_rows import calls_of, input_rows, matrix_layers, weight_rows
from .masks import Masks, n_kept_of

DAMPING = 0.01
"""Share of the mean curvature added to every direction, so that the Hessian has an inverse (as in SparseGPT)."""
BLOCK = 128
"""Columns whose mask the sweep chooses together (SparseGPT)."""
WIDEST_EXACT = 512
"""Columns up to which weights are removed one at a time; the time grows with the cube of the width, times the rows."""
_ROWS_AT_A_TIME = 16

Settle: TypeAlias = Callable[[int, Tensor, Tensor], Tensor]
"""(column, weight so far (out, in), diagonal of the inverse's factor (in,)) → the column's final values (out,)."""


def layer_hessians(
    module: nn.Module, calibration: Tensor | tuple[Tensor, ...], layers: Iterable[str] | None = None
) -> dict[str, Tensor]:
    """`H = 2 X Xᵀ` of each layer, summed over samples and positions.

    Args:
        module: In evaluation mode; not touched.
        calibration: Inputs, shape (n, ...), or one such tensor per input.
        layers: Names; all convolutions and linear layers where None.

    Returns:
        By layer, shape (groups, in, in) in float64, `in` being inputs of a group times the kernel. A layer that is not
        called is left out.

    Raises:
        TrainingError: A name is no such layer, or there are no samples.
    """
    wanted = matrix_layers(module, layers)
    found: dict[str, Tensor] = {}
    for name, inputs, _ in calls_of(module, wanted, calibration):
        rows = input_rows(wanted[name], inputs)
        # The product of a batch in its own precision, several times as fast; the sum over batches in float64.
        product = 2 * (rows.mT @ rows).double()
        found[name] = found[name] + product if name in found else product
    return found


def damped(hessian: Tensor, damping: float = DAMPING) -> Tensor:
    """The Hessian with a share of its mean diagonal added to the diagonal, in float64; shape (..., in, in)."""
    hessian = hessian.double()
    mean = hessian.diagonal(dim1=-2, dim2=-1).mean(-1, keepdim=True)
    # A layer that is fed zeros only has no curvature at all; any will do.
    added = torch.where(mean > 0, damping * mean, torch.ones_like(mean))
    return hessian + torch.diag_embed(added.expand(hessian.shape[:-1]))


def inverse(hessian: Tensor) -> Tensor:
    """`H⁻¹` of a positive definite Hessian by its Cholesky factor, in float64.

    Raises:
        TrainingError: It is not positive definite.
    """
    factor, info = torch.linalg.cholesky_ex(hessian.double())
    if bool(info.any()):
        raise TrainingError(
            f"a Hessian must be positive definite, got one of shape {tuple(hessian.shape)} that is not: damp it more, "
            "or calibrate on more samples"
        )
    return torch.cholesky_inverse(factor)


def obd_saliency(weight: Tensor, hessian: Tensor) -> Tensor:
    """What removing each weight costs if the others stay: `w² H_ii / 2`; (out, in) and (in, in) → (out, in)."""
    return weight.double().square() * hessian.double().diagonal() / 2


def obs_saliency(weight: Tensor, inverse_hessian: Tensor) -> Tensor:
    """What removing each weight costs if the others make up for it: `w² / (2 [H⁻¹]_qq)`; shapes as `obd_saliency`."""
    return weight.double().square() / (2 * inverse_hessian.double().diagonal())


def obs_update(row: Tensor, inverse_hessian: Tensor, removed: int) -> Tensor:
    """A row of weights without one of them, the others at their best: `w - w_q / [H⁻¹]_qq · H⁻¹[:, q]`; (in,) → (in,).

    The weight `removed` is exactly zero.
    """
    row, inverse_hessian = row.double(), inverse_hessian.double()
    column = inverse_hessian[:, removed]
    updated = row - row[removed] / column[removed] * column
    updated[removed] = 0.0
    return updated


def refit(weight: Tensor, mask: Tensor, hessian: Tensor) -> Tensor:
    """The weights under a mask that give the least squared error of the outputs: one small system per row.

    Args:
        weight: Before anything was removed, shape (out, in).
        mask: True where a weight stays, shape (out, in).
        hessian: Positive definite, shape (in, in).

    Returns:
        Shape (out, in) in float64, exactly zero where masked.
    """
    hessian, target = hessian.double(), weight.double() @ hessian.double()
    rows = []
    for part, kept in zip(*(torch.split(each, _ROWS_AT_A_TIME) for each in (target, mask.double())), strict=True):
        # Rows and columns of what was removed are those of the identity: their solution is zero.
        system = hessian * kept[:, :, None] * kept[:, None, :] + torch.diag_embed(1 - kept)
        solved = torch.cholesky_solve((part * kept)[:, :, None], torch.linalg.cholesky(system))[:, :, 0]
        rows.append(solved * kept)
    return torch.cat(rows)


def sweep(weight: Tensor, hessian: Tensor, settle: Settle) -> Tensor:
    """Settles the columns of a weight one after another; those to come make up for the error of each.

    Args:
        weight: Shape (out, in).
        hessian: Positive definite, shape (in, in).
        settle: Gives each column its final values, zero or rounded.

    Returns:
        Shape (out, in) in float64.
    """
    # H⁻¹ = Uᵀ U. Row q of U is, up to a factor, column q of the inverse for the columns from q on alone.
    factor = torch.linalg.cholesky(inverse(hessian), upper=True)
    diagonal = factor.diagonal()
    current = weight.double().clone()
    for column in range(current.shape[1]):
        settled = settle(column, current, diagonal)
        error = (current[:, column] - settled) / diagonal[column]
        current[:, column + 1 :] -= error[:, None] * factor[column, column + 1 :]
        current[:, column] = settled
    return current


def removal_costs(weight: Tensor, hessian: Tensor) -> Tensor:
    """What each weight costs when its turn comes: in every row the cheapest goes first, and the others make up for it.

    Args:
        weight: Shape (out, in).
        hessian: Positive definite, shape (in, in).

    Returns:
        Shape (out, in) in float64. Costs never fall along a row's order, so that the weights below any bound are those
        that go first.
    """
    return torch.cat([_removal_costs(rows.double(), inverse(hessian)) for rows in torch.split(weight, _ROWS_AT_A_TIME)])


def _removal_costs(weight: Tensor, inverse_hessian: Tensor) -> Tensor:
    weight, costs = weight.clone(), torch.full_like(weight, torch.inf)
    inverses = inverse_hessian.expand(len(weight), -1, -1).clone()  # of what is left, by row
    rows, dearest = torch.arange(len(weight), device=weight.device), weight.new_zeros(len(weight))
    for _ in range(weight.shape[1]):
        diagonal = inverses.diagonal(dim1=1, dim2=2)
        saliency = (weight.square() / (2 * diagonal)).masked_fill(costs.isfinite(), torch.inf)
        cheapest, column = saliency.min(1)
        dearest = torch.maximum(dearest, cheapest)
        costs[rows, column] = dearest
        leaving = inverses[rows, column]  # (out, in)
        pivot = leaving[rows, column]
        weight -= (weight[rows, column] / pivot)[:, None] * leaving
        inverses.baddbmm_(leaving[:, :, None], (leaving / pivot[:, None])[:, None, :], alpha=-1)
        # What is gone stays out of the way of rounding errors.
        inverses[rows, column, column] = 1.0
    return costs


def prune_matrix(weight: Tensor, hessian: Tensor, density: float, *, name: str = "weight") -> Tensor:
    """Removes weights of a matrix down to a density; the others make up for them.

    Up to `WIDEST_EXACT` columns they go one at a time, the cheapest of the matrix first, and the rest is at its best
    (OBC). Wider matrices are swept once: which ones go is decided block by block of columns (SparseGPT).

    Args:
        weight: Shape (out, in).
        hessian: Positive definite, shape (in, in).
        density: Share that stays, above 0.
        name: Of the layer, for messages.

    Returns:
        Shape (out, in) in float64, exactly zero where removed.

    Raises:
        TrainingError: The density is not above 0 and at most 1.
    """
    n_kept_of(weight.numel(), density, name)
    if weight.shape[1] > WIDEST_EXACT:
        return prune_by_sweep(weight, hessian, density, name=name)
    return refit(weight, _largest(removal_costs(weight, hessian), density, name), hessian)


def prune_by_sweep(weight: Tensor, hessian: Tensor, density: float, *, name: str = "weight") -> Tensor:
    """As `prune_matrix`, for matrices of any width."""
    mask = torch.ones_like(weight, dtype=torch.bool)

    def settle(column: int, current: Tensor, diagonal: Tensor) -> Tensor:
        if column % BLOCK == 0:
            block = slice(column, column + BLOCK)
            mask[:, block] = _largest((current[:, block] / diagonal[block]).square(), density, name)
        return current[:, column] * mask[:, column]

    return sweep(weight, hessian, settle)


def prune_layers(module: nn.Module, hessians: Mapping[str, Tensor], density: float | Mapping[str, float]) -> Masks:
    """Prunes layers to a density in place, with compensation, and gives the masks that hold what was removed.

    Args:
        module: Changed in place.
        hessians: By layer, from `layer_hessians` of this network; damped here.
        density: Share of each layer's weights (of each group) that stays, one for all these layers or by layer.

    Raises:
        TrainingError: A density is not above 0 and at most 1, or for a layer without a Hessian.
    """
    densities = dict(density) if isinstance(density, Mapping) else dict.fromkeys(hessians, density)
    masks = {}
    for name, layer in matrix_layers(module, densities).items():
        if name not in hessians:
            raise TrainingError(
                f"second-order pruning needs the Hessian of each layer, got none for {name!r}: leave the layer out, "
                "or calibrate with inputs that reach it"
            )
        pruned = torch.stack(
            [
                prune_matrix(weight, hessian, densities[name], name=name)
                for weight, hessian in zip(weight_rows(layer), damped(hessians[name]), strict=True)
            ]
        ).reshape(layer.weight.shape)
        masks[name] = pruned != 0
        with torch.no_grad():
            layer.weight.copy_(pruned)
    return masks


def output_error(difference: Tensor, hessian: Tensor) -> Tensor:
    """Squared error of each output for a change of the weights, `dᵀ H d / 2`; (out, in) and (in, in) → (out,)."""
    difference = difference.double()
    return ((difference @ hessian.double()) * difference).sum(1) / 2


def _largest(values: Tensor, density: float, name: str) -> Tensor:
    """True for the given share of values, the largest; shape (out, block)."""
    order = values.flatten().argsort(descending=True, stable=True)
    mask = torch.zeros(values.numel(), dtype=torch.bool, device=values.device)
    mask[order[: n_kept_of(values.numel(), density, name)]] = True
    return mask.reshape(values.shape)
