"""How a layer's weight is stored in few bits: the choices `clusters:4`, `uniform:2`, and what each makes of it."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from ..hardware_profiles.errors import SpaceError
from ..packing import CodedWeight, StoredWeight, nearest_circulant, share_weights, tie_filters
from .configuration import Configuration
from .network import Layer
from .quantized_weight import QuantizedWeight, levels
from .ranges import SHARES_IN_FEW_BITS, least_error_scales

FULL = "full"
CODES = (
    *("clusters:6", "clusters:5", "uniform:4", "clusters:4", "clusters:3"),
    *("uniform:2", "clusters:2", "uniform:1"),
)
"""From many bits to few; of as many bits, that of the lesser error on most layers last."""
ONE_BIT = "uniform:1"
FLIPS = (2, 4)
"""Filters for each base filter that convolutions are offered."""
BLOCKS = (4, 8, 16)
"""Sides of circulant blocks that linear layers are offered."""

Kind: TypeAlias = Literal["clusters", "uniform", "flips", "circulant"]
"""Whether a layer shares the values of one codebook, its channels have evenly spaced levels, its filters are flips and
negatives of a few, or its weight consists of circulant blocks."""
KINDS: tuple[Kind, ...] = get_args(Kind)
TIES: tuple[Kind, ...] = ("flips", "circulant")
"""Kinds that make entries equal up to their sign and hold float numbers; no weight of theirs can be removed."""


def parse_code(choice: str) -> tuple[Kind, int]:
    """Kind and number of a choice such as `clusters:4`: bits of an index, filters per base filter, side of a block.

    Raises:
        SpaceError: It is no code.
    """
    name, _, number = choice.partition(":")
    kind = next((each for each in KINDS if each == name), None)
    if kind is None or not number.isdecimal() or (kind not in TIES and choice not in CODES) or int(number) < 1:
        known = ", ".join((FULL, *CODES, *(f"{each}:N" for each in TIES)))
        raise SpaceError(f"a code must be one of {known}, got {choice!r}: choose one of these")
    return kind, int(number)


def ties_of(layer: Layer) -> tuple[str, ...]:
    """The ways to tie the weights of a layer; none where its shape allows none."""
    if layer.kind == "linear":
        common = math.gcd(layer.in_channels, layer.out_channels)
        return tuple(f"circulant:{side}" for side in BLOCKS if common % side == 0 and side < common)
    if layer.kind == "conv" and math.prod(layer.kernel_size) > 1 and layer.out_channels >= 2 * max(FLIPS):
        return tuple(f"flips:{n}" for n in FLIPS)
    return ()


def code_weight(weight: Tensor, choice: str) -> StoredWeight:
    """A weight under a choice, as it is best without training; of codes without ties removed weights stay exactly zero.

    Args:
        weight: Float, shape (out, ...).
        choice: A code.

    Raises:
        SpaceError: It is not.
    """
    kind, bits = parse_code(choice)
    weight = weight.detach().float()
    if kind == "flips":
        return tie_filters(weight, bits)
    if kind == "circulant":
        return nearest_circulant(weight, bits)
    if kind == "clusters":
        return share_weights(weight, bits)
    rows = weight.flatten(1)
    lowest, highest = levels(bits)
    scale = rows.abs().mean(1) if bits == 1 else least_error_scales(rows, highest, lowest, SHARES_IN_FEW_BITS)
    return coded_of(QuantizedWeight.rounded(weight, scale, bits))


def coded_of(weight: QuantizedWeight) -> CodedWeight:
    """A weight of evenly spaced levels, the levels being its codebook."""
    lowest, highest = levels(weight.bits)
    codebook = torch.tensor([-1.0, 1.0]) if weight.bits == 1 else torch.arange(lowest, highest + 1).float()
    codes = weight.codes.int()
    indices = (codes > 0).int() if weight.bits == 1 else codes - lowest
    return CodedWeight(indices.to(torch.uint8), codebook, weight.scale)


def stored_bits(choice: str) -> float:
    """Bits of a weight under a code, before any entropy code; 32 for `full`."""
    if choice == FULL:
        return 32.0
    kind, number = parse_code(choice)
    return 32.0 / number if kind in TIES else float(number)


def layer_codes(configuration: Configuration, kinds: Collection[Kind]) -> dict[str, str]:
    """The codes of some kinds, by the layers that a configuration stores in them."""
    sites = {site.partition("/"): str(choice) for site, choice in configuration.items()}
    codes = {layer: choice for (technique, _, layer), choice in sites.items() if technique == "code"}
    return {layer: choice for layer, choice in codes.items() if parse_code(choice)[0] in kinds}


def layer_bits(configuration: Configuration, kind: Kind) -> dict[str, int]:
    """The bits of the layers that a configuration stores in codes of one kind."""
    return {layer: parse_code(choice)[1] for layer, choice in layer_codes(configuration, (kind,)).items()}
