"""How a layer's weights are stored under some choices, and about how many bits that takes."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..spaces import Choice
from ..spaces.quantize import bits_per_weight
from ..spaces.weight_codes import FULL, parse_code, stored_bits

_INDEX_ENTROPY = {"clusters": -0.2, "uniform": -0.5}
"""What an entropy code takes less than the bits of an index, for weights about normally distributed."""
_INT8_ENTROPY = 6.5
"""Bits of a weight in int8 behind an entropy code, likewise."""


@dataclass(frozen=True, slots=True)
class StoredForm:
    """What is chosen about the storage of a layer.

    Attributes:
        code: `full`, or one of `weight_codes.CODES`.
        sparsity: Percent of the weights that are zero.
    """

    code: str = FULL
    sparsity: int = 0

    def bits_per_weight(self, bits: Choice) -> float:
        """About what an entropy code takes for a weight: its position where some are zero, and its value.

        Args:
            bits: The choice of what the layer computes in, which says how a weight is stored that has no code.
        """
        return _bits_per_weight(self, bits)


AS_EXECUTED = StoredForm()


def stored_form(layer: str, choices: Mapping[str, Choice]) -> StoredForm:
    """What is chosen about the storage of a layer of the original network."""
    code, sparsity = choices.get(f"code/{layer}", FULL), choices.get(f"sparsity/{layer}", 0)
    return AS_EXECUTED if code == FULL and not sparsity else StoredForm(str(code), int(sparsity))


@functools.cache
def _bits_per_weight(form: StoredForm, bits: Choice) -> float:
    value = _INT8_ENTROPY if bits == 8 else bits_per_weight(bits)
    if form.code != FULL:
        kind, _ = parse_code(form.code)
        value = max(1.0, stored_bits(form.code) + _INDEX_ENTROPY.get(kind, 0.0))
    density = 1 - form.sparsity / 100
    position = 0.0 if not form.sparsity else -density * math.log2(density) - (1 - density) * math.log2(1 - density)
    return position + density * value
