"""The time of what stands around the layers: pooling, sums, conversions, changes of the memory layout.

It belongs to no layer in the runtime's profile. It is estimated by ridge regression from the number of layers, the
sizes of their outputs in float and in int8, of those whose channels fill no whole blocks (runtimes change the layout
there), and the number and sizes of those where the next layer computes in another precision (values are rounded or
restored there). What a single place adds beyond what such places add elsewhere (a sum or a pooling follows) is learnt
for each layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..spaces import Choice
from .graph_bytes import Terms
from .layer_forms import Form
from .operator_times import BLOCK
from .ridge import Ridge

_N_SHARED, _N_OWN = 8, 4
_SHARED_PENALTY, _OWN_PENALTY = 0.001, 0.002
"""With rows in shares of a latency; a place that matters soon shows its own cost."""


class Surroundings:
    """What the operators that belong to no layer took so far, and what they should take."""

    def __init__(self, plain: Sequence[Form]) -> None:
        """Starts without observations: everything is predicted to take no time.

        Args:
            plain: The layers of the uncompressed network.
        """
        self._position = {form.layer: position for position, form in enumerate(plain)}
        self._activations = max(1, sum(form.activations for form in plain))
        self._n_terms = _N_SHARED + _N_OWN * len(plain)
        self._ridge = Ridge((_SHARED_PENALTY,) * _N_SHARED + (_OWN_PENALTY,) * (self._n_terms - _N_SHARED))
        self._unit_us = 0.0
        self._microseconds: list[float] | None = None

    def add(self, forms: Sequence[Form], others_us: float, latency_us: float) -> None:
        """Adds one measured candidate: its layers in order, the time of all other operators, and its latency."""
        # In units of the first candidate's latency, so that penalties mean the same for small and large networks.
        self._unit_us = self._unit_us or latency_us
        row = np.zeros(self._n_terms)
        row[0] = 1.0
        for form, behind in zip(forms, [*(form.bits for form in forms[1:]), None], strict=True):
            for position, value in self.terms(form, behind):
                row[position] += value
        self._ridge.add(row * self._unit_us / latency_us, others_us / latency_us)
        self._microseconds = None

    @property
    def fixed_us(self) -> float:
        """What does not depend on any layer, in µs."""
        return self._fit()[0]

    def microseconds(self, form: Form, bits_behind: Choice | None) -> float:
        """What one layer adds, see `terms`."""
        return self.of(self.terms(form, bits_behind))

    def of(self, terms: Terms) -> float:
        """The same from a layer's terms, which do not change while the coefficients do."""
        fit = self._fit()
        return sum([fit[position] * value for position, value in terms])

    def terms(self, form: Form, bits_behind: Choice | None) -> Terms:
        """What applies to a layer, by the bits of the layer that follows it; None where none does."""
        size, share, is_int8 = form.activations / self._activations, 1 / len(self._position), form.bits == 8
        applies = (
            is_int8,
            form.out_channels % BLOCK > 0,
            bits_behind == 8 and not is_int8,
            bits_behind not in (8, None) and is_int8,
        )
        found = [(1, share), (2, size)]
        if bits_behind not in (form.bits, None):
            found.append((7, share))
        own = _N_SHARED + _N_OWN * self._position[form.layer]
        for offset in range(_N_OWN):
            if applies[offset]:
                found += ((3 + offset, size), (own + offset, size))
        return tuple(found)

    def _fit(self) -> list[float]:
        """Microseconds by term."""
        if self._microseconds is None:
            self._microseconds = (self._unit_us * self._ridge.coefficients()).tolist()
        return self._microseconds
