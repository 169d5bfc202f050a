"""The bytes of a file that are not weights: nodes, names, and what stands where the precision changes.

They depend on the structure, not on widths. Runtimes write them in their own ways, so they are learnt from the files
seen so far, by ridge regression: from the number of layers, of factors, of layers in int8, in half precision and with
weights in few bits, and of changes of precision between two layers. What a single layer adds beyond what such layers
add elsewhere (a sum follows, its name is long) is learnt for each layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..spaces import Choice
from ..spaces.quantize import half_of, weight_only_bits
from .layer_forms import Form
from .ridge import Ridge

Terms = tuple[tuple[int, float], ...]
"""Positions of coefficients, each with the value that it is multiplied with; all others are 0."""

_N_SHARED, _N_OWN = 9, 3
_SHARED_PENALTY, _OWN_PENALTY = 1e-8, 1e-2
"""Files have no noise: what is common is fitted almost exactly, and single layers explain what it leaves over."""


class GraphBytes:
    """What files held beside the weights so far, and what others should hold."""

    def __init__(self, plain: Sequence[Form]) -> None:
        """Starts without observations: everything is predicted to take no bytes.

        Args:
            plain: The layers of the uncompressed network.
        """
        self._position = {form.layer: position for position, form in enumerate(plain)}
        self._n_terms = _N_SHARED + _N_OWN * len(plain)
        penalties = (_SHARED_PENALTY,) * _N_SHARED + (_OWN_PENALTY,) * (self._n_terms - _N_SHARED)
        self._ridge = Ridge(penalties)
        self._unit = 0.0
        self._bytes: list[float] | None = None

    def add(self, forms: Sequence[Form], n_bytes: float) -> None:
        """Adds one file: its layers in order, and what it holds beside their weights."""
        # In units of the first file's, so that penalties mean the same for small and large networks.
        self._unit = self._unit or n_bytes
        row = np.zeros(self._n_terms)
        row[0] = 1.0
        for form, behind in zip(forms, [*(form.bits for form in forms[1:]), None], strict=True):
            for position, value in self.terms(form, behind):
                row[position] += value
        self._ridge.add(row, n_bytes / self._unit if self._unit else 0.0)
        self._bytes = None

    @property
    def fixed(self) -> float:
        """Bytes that do not depend on any layer."""
        return self._fit()[0]

    def of(self, terms: Terms) -> float:
        """Bytes that one layer adds."""
        fit = self._fit()
        return sum([fit[position] * value for position, value in terms])

    def _fit(self) -> list[float]:
        """Bytes by term."""
        if self._bytes is None:
            self._bytes = (self._unit * self._ridge.coefficients()).tolist()
        return self._bytes

    def terms(self, form: Form, bits_behind: Choice | None) -> Terms:
        """What applies to a layer, by the bits of the layer that follows it; None where none does."""
        share, n_more = 1 / len(self._position), len(form.parts) - 1
        is_int8, changes = form.bits == 8, bits_behind not in (form.bits, None)
        own = _N_SHARED + _N_OWN * self._position[form.layer]
        values = {
            1: 1,
            2: n_more,
            3: is_int8,
            4: is_int8 * n_more,
            5: changes,
            6: half_of(form.bits) is not None,
            7: weight_only_bits(form.bits) is not None,
            8: is_int8 * changes * form.out_channels / 64,  # restored to float channel by channel
            own: 1,
            own + 1: form.bits != 32,
            own + 2: changes,
        }
        return tuple((position, share * value) for position, value in values.items() if value)
