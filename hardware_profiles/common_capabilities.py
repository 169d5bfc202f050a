"""What several hardware profiles have in common: a network that is meant for all of them is limited to that."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .errors import ProfileError
from .profile import Capabilities, HardwareProfile

COARSEST_GRID = 1024
"""Channel counts on a coarser grid exist in next to no network, so nothing would be left to prune."""


def common_capabilities(profiles: Sequence[HardwareProfile]) -> Capabilities:
    """Gives what all profiles execute: widths that every one has, zeros that all skip, channels on the grids of all.

    Args:
        profiles: At least one; with one its own capabilities are given.

    Raises:
        ProfileError: Two have one name, or no channel count short of 1024 lies on the grids of all.
    """
    _check_names(profiles)
    capabilities = [profile.capabilities for profile in profiles]
    grid = math.lcm(*(each.channel_grid for each in capabilities))
    finest = max(each.channel_grid for each in capabilities)
    if grid > max(finest, COARSEST_GRID):
        grids = ", ".join(f"{profile.name!r} has {profile.capabilities.channel_grid}" for profile in profiles)
        raise ProfileError(
            f"profiles of one search must share a channel grid of at most {COARSEST_GRID}, but {grids}, which meet at "
            f"{grid}: set capabilities.channel_grid to multiples of each other, or search for them separately"
        )
    first, *others = capabilities
    return Capabilities(
        weight_bits=tuple(bits for bits in first.weight_bits if all(bits in each.weight_bits for each in others)),
        weight_only_bits=tuple(
            bits for bits in first.weight_only_bits if all(bits in each.weight_only_bits for each in others)
        ),
        sparse_density=min(each.sparse_density for each in capabilities),
        channel_grid=grid,
    )


def _check_names(profiles: Sequence[HardwareProfile]) -> None:
    names = [profile.name for profile in profiles]
    repeated = next((name for position, name in enumerate(names) if name in names[:position]), None)
    if repeated is not None:
        raise ProfileError(
            f"profiles of one search must have different names, got {repeated!r} twice: leave one out, or give the "
            "file another `name`"
        )
