"""The low-rank schemes by name, and what a choice such as `"spatial:24"` or `"tucker:24x32"` means under each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from torch import nn

from ..hardware_profiles.errors import SpaceError
from .cp import Cp
from .factor_layers import build_factors
from .matrix_schemes import ActivationAwareSvd, ChannelSvd, GroupedSvd, SpatialSvd
from .rank_scheme import Ranks, Scheme, Source, Stage
from .site import Choice
from .tucker import Tucker

SCHEMES: Mapping[str, Scheme] = {
    "svd": ChannelSvd(is_pointwise=True),
    "asvd": ActivationAwareSvd(),
    "spatial": SpatialSvd(),
    "channel": ChannelSvd(is_pointwise=False),
    "grouped": GroupedSvd(),
    "tucker": Tucker(),
    "cp": Cp(),
}


def parse_rank(choice: str) -> tuple[str, Ranks]:
    """`"spatial:24"` → `("spatial", (24,))`, `"tucker:16x24"` → `("tucker", (16, 24))`.

    Raises:
        SpaceError: The text is not a scheme and its positive ranks.
    """
    scheme, _, text = choice.partition(":")
    ranks = text.split("x")
    if (
        scheme not in SCHEMES
        or len(ranks) != SCHEMES[scheme].n_ranks
        or not all(rank.isdecimal() and int(rank) >= 1 for rank in ranks)
    ):
        known = ", ".join(f"{name}:{'x'.join('R' * each.n_ranks)}" for name, each in SCHEMES.items())
        raise SpaceError(f"a rank must be one of {known} with R a positive number, got {choice!r}")
    return scheme, tuple(int(rank) for rank in ranks)


def rank_choice(scheme: str, ranks: Ranks) -> str:
    """`("tucker", (16, 24))` → `"tucker:16x24"`."""
    return f"{scheme}:{'x'.join(map(str, ranks))}"


def factor_weights(choice: str, in_channels: int, out_channels: int, kernel_size: tuple[int, ...]) -> int:
    """Weights that a rank choice leaves at those channels, over all factors."""
    return sum(
        stage.n_weights(kernel_size) for stage in factor_stages(choice, in_channels, out_channels, len(kernel_size))
    )


def factor_macs(
    choice: str,
    in_channels: int,
    out_channels: int,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    n_positions: int,
) -> int:
    """Multiply-accumulates per sample of all factors of a layer with that many output positions.

    Factors in front of the one with the stride run at as many times the positions; what does not divide is rounded.
    """
    total, strides = 0, list(stride)
    for stage in factor_stages(choice, in_channels, out_channels, len(kernel_size)):
        for axis in stage.axes:
            strides[axis] = 1
        total += stage.n_weights(kernel_size) * n_positions * math.prod(strides)
    return total


def factor_stages(choice: str, in_channels: int, out_channels: int, n_axes: int) -> tuple[Stage, ...]:
    """The factors that a rank choice makes of a layer, in the order in which they run.

    Args:
        choice: The rank.
        in_channels: Of the layer.
        out_channels: Of the layer.
        n_axes: Its spatial dimensions.
    """
    scheme, ranks = parse_rank(choice)
    return SCHEMES[scheme].stages(ranks, in_channels, out_channels, n_axes)


def lost_energies(source: Source, choices: Iterable[str]) -> dict[Choice, float]:
    """Share of the energy of a layer that each rank choice loses: of its weight, or of its outputs for `asvd`."""
    parsed = {choice: parse_rank(choice) for choice in choices}
    return {choice: SCHEMES[scheme].lost_energy(source, ranks) for choice, (scheme, ranks) in parsed.items()}


def split_layer(layer: nn.Module, choice: str, source: Source | None = None) -> list[nn.Module]:
    """The layers that a rank choice makes of one, in the order in which they run.

    Args:
        layer: The layer.
        choice: Its rank.
        source: What its factors are computed from, where that is not the layer itself: an original with the same
            weights, whose decomposition is remembered, and its inputs.

    Raises:
        SpaceError: The scheme cannot take such a layer apart.
    """
    scheme, ranks = parse_rank(choice)
    source = source or Source(layer)
    out_channels, in_channels = len(source.weight), source.weight.shape[1] * source.groups
    stages = SCHEMES[scheme].stages(ranks, in_channels, out_channels, len(source.kernel_size))
    return build_factors(layer, stages, SCHEMES[scheme].factors(source, ranks))
