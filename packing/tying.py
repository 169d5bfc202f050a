"""Ties the filters of a layer to a few of them, flipped, signed and scaled, so that the squared error is small.

As in clustering by lines through the origin: each filter goes to the base filter and the transform under which its
projection is longest, and each base becomes the line nearest to its filters, the leading singular vector of these with
their transforms undone. Neither step can raise the error, so it ends. Flips of whole filters after Cohen and Welling
2016, "Group Equivariant Convolutional Networks"; of rotations only those that a layer's file can name are used.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..hardware_profiles.errors import PackingError
from .tied_weight import MIRRORED, NEGATIVE, UPSIDE_DOWN, TiedWeight, transformed

FLIPS = (0, MIRRORED, UPSIDE_DOWN, MIRRORED + UPSIDE_DOWN)
MAX_ROUNDS = 50
"""Alternations at most; some ten suffice."""
MOST_BASES = 32_767
"""What an index of a base filter can name."""


def tie_filters(weight: Tensor, n_per_base: int) -> TiedWeight:
    """A layer's filters as flips, negatives and multiples of a few base filters. Removed weights do not stay zero.

    Args:
        weight: Float, shape (out, ...), at least one filter; flips need two axes behind the second.
        n_per_base: Filters for each base filter, at least 1: there are `out / n_per_base` of these, rounded up.

    Raises:
        PackingError: A value breaks one of these rules.
    """
    n_bases = _n_bases(weight, n_per_base)
    filters = weight.detach().double()
    flips = FLIPS if weight.dim() == 4 else FLIPS[:1]
    # (flips, out, weights of a filter): undone, as each flip is its own inverse.
    undone = torch.stack([transformed(filters, flip) for flip in flips]).flatten(2)
    bases = _start(undone, n_bases)
    error = float("inf")
    for _ in range(MAX_ROUNDS):
        source, flip, length = _assigned(undone, bases)
        before, error = error, float((undone[0].square().sum(1) - length.square()).sum())
        if error >= before * (1 - 1e-6):
            break
        bases = _lines(undone, source, flip, length, bases)
    signs = torch.where(length < 0, NEGATIVE, 0)
    return TiedWeight(
        bases.reshape(n_bases, *weight.shape[1:]).float(),
        source.to(torch.int16),
        (torch.tensor(flips)[flip] + signs).to(torch.uint8),
        length.abs().float(),
    )


def _n_bases(weight: Tensor, n_per_base: int) -> int:
    if weight.dim() < 2 or not weight.numel() or not bool(weight.isfinite().all()):
        raise PackingError(
            f"a weight whose filters are tied must be finite numbers of shape (out, in, ...), got shape "
            f"{tuple(weight.shape)}: give a layer's weight"
        )
    if n_per_base < 1:
        raise PackingError(f"filters per base filter must be at least 1, got {n_per_base}: give a higher number")
    n_bases = -(-len(weight) // n_per_base)
    if n_bases > MOST_BASES:
        raise PackingError(f"there can be {MOST_BASES} base filters, got {n_bases}: tie more filters to each")
    return n_bases


def _start(undone: Tensor, n_bases: int) -> Tensor:
    """Unit vectors (bases, weights): the longest filter, then always the one that those so far miss most."""
    missed = undone[0].square().sum(1)
    found: list[Tensor] = []
    for _ in range(n_bases):
        base = _unit(undone[0, int(missed.argmax())])
        found.append(base)
        projected = (undone @ base).square().amax(0)  # (out,)
        missed = torch.minimum(missed, undone[0].square().sum(1) - projected)
    return torch.stack(found)


def _assigned(undone: Tensor, bases: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """By filter: its base, its flip, and the signed length of its projection, each of shape (out,)."""
    lengths = undone @ bases.T  # (flips, out, bases)
    by_filter = lengths.movedim(1, 0).flatten(1)
    best = by_filter.abs().argmax(1)
    return best % len(bases), best // len(bases), by_filter.gather(1, best[:, None])[:, 0]


def _lines(undone: Tensor, source: Tensor, flip: Tensor, length: Tensor, bases: Tensor) -> Tensor:
    """The base filters that are nearest to their filters; one without takes the filter that is missed most."""
    chosen = undone[flip, torch.arange(len(source))]
    missed = chosen.square().sum(1) - length.square()
    found = bases.clone()
    for base in range(len(bases)):
        members = chosen[source == base]
        if len(members):
            # The leading right singular vector, from the small Gram matrix.
            vector: Tensor = torch.linalg.eigh(members @ members.T).eigenvectors[:, -1]
            found[base] = _unit(vector @ members, found[base])
        else:
            worst = int(missed.argmax())
            found[base], missed[worst] = _unit(chosen[worst], found[base]), 0.0
    return found


def _unit(vector: Tensor, otherwise: Tensor | None = None) -> Tensor:
    """The vector at length 1; one of zeros stays, or is replaced."""
    length = float(torch.linalg.vector_norm(vector))
    if length > 0:
        return vector / length
    return vector if otherwise is None else otherwise
