"""How a layer's weight is stored in few bits: the choices `clusters:4`, `uniform:2`, and what each makes of it."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from ..hardware_profiles.errors import SpaceError
from ..packing import CodedWeight
from .configuration import Configuration
from .quantized_weight import QuantizedWeight, levels
from .ranges import SHARES_IN_FEW_BITS, least_error_scales

FULL = "full"
CODES = (
    *("clusters:6", "clusters:5", "uniform:4", "clusters:4", "clusters:3"),
    *("uniform:2", "clusters:2", "uniform:1"),
)
"""From many bits to few; of as many bits, that of the lesser error on most layers last."""
ONE_BIT = "uniform:1"

Kind: TypeAlias = Literal["clusters", "uniform"]
"""Whether a layer shares the values of one codebook, or its channels have evenly spaced levels."""


def parse_code(choice: str) -> tuple[Kind, int]:
    """Kind and bits of a choice such as `clusters:4`.

    Raises:
        SpaceError: It is none of `CODES`.
    """
    if choice not in CODES:
        raise SpaceError(f"a code must be one of {', '.join((FULL, *CODES))}, got {choice!r}: choose one of these")
    kind, _, bits = choice.partition(":")
    return "clusters" if kind == "clusters" else "uniform", int(bits)


def code_weight(weight: Tensor, choice: str) -> CodedWeight:
    """A weight under a choice, as it is best without training; removed weights stay exactly zero.

    Args:
        weight: Float, shape (out, ...).
        choice: One of `CODES`.

    Raises:
        SpaceError: It is not.
    """
    kind, bits = parse_code(choice)
    weight = weight.detach().float()
    if kind == "clusters":
        from ..packing.sharing import share_weights

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


def stored_bits(choice: str) -> int:
    """Bits of an index under a choice of `CODES`; 32 for `full`."""
    return 32 if choice == FULL else parse_code(choice)[1]


def layer_bits(configuration: Configuration, kind: Kind) -> dict[str, int]:
    """The bits of the layers that a configuration stores in codes of one kind."""
    sites = {site.partition("/"): str(choice) for site, choice in configuration.items()}
    codes = {layer: parse_code(choice) for (technique, _, layer), choice in sites.items() if technique == "code"}
    return {layer: bits for layer, (found, bits) in codes.items() if found == kind}
