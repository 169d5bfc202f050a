"""A score of a network as a sum over its layers, fitted to networks that were measured as a whole.

For where no operator was profiled. A layer's part depends on its multiplications, by their bits, on its bytes, on its
outputs and on whether the next layer computes in another precision; what a single layer takes beyond what such layers
take elsewhere is learnt for each layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..evaluators.cost_tables import LayerCost
from ..evaluators.layer_forms import Form
from ..evaluators.ridge import Ridge
from ..spaces import Choice

_FIXED, _MACS, _BYTES, _OUTPUTS, _CHANGES, _N_SHARED = range(6)
_WORKED = (0.05, 0.75, 0.05, 0.15, 0.0)
_STORED = (0.0, 0.0, 1.0, 0.0, 0.0)
"""Shares of the uncompressed network's score that the shared terms are held to before anything was measured."""
_SAVED: dict[Choice, float] = {8: -0.4, "bf16": 0.0, "fp16": 0.0}
"""What the multiplications in some bits save beside those in float, as a share; others nothing until measured."""
_SHARED_PENALTY, _OWN_PENALTY = 0.004, 0.01
"""Squares of a measurement's relative error, 3 %, over those of what the terms may deviate by."""
_LEAST_SHARE = 0.02
"""Of its expected part a layer keeps at least so much: a negative one would draw the search to make it larger."""


class LayerSum:
    """Ridge regression on relative errors, refitted at every observation.

    Attributes:
        n_observed: Networks that were measured.
    """

    def __init__(self, plain: Sequence[LayerCost], n_bytes: Callable[[Form], float] | None = None) -> None:
        """Begins with what is expected.

        Args:
            plain: The layers of the uncompressed network.
            n_bytes: Of a layer, where the score counts what is stored, as a size does; None where it counts what is
                done.
        """
        self.n_observed = 0
        self._is_stored = is_stored = n_bytes is not None
        self._n_bytes = n_bytes or weight_bytes
        self._position = {layer.form.layer: position for position, layer in enumerate(plain)}
        self._macs = max(1, sum(layer.macs for layer in plain))
        self._bytes = max(1.0, sum(self._n_bytes(layer.form) for layer in plain))
        self._outputs = max(1, sum(layer.form.activations for layer in plain))
        self._narrow = tuple(_SAVED)
        self._first_own = _N_SHARED + len(self._narrow)
        n_own = len(plain)
        self._expected = np.zeros(self._first_own + n_own)
        self._expected[: len(_WORKED)] = _STORED if is_stored else _WORKED
        if not is_stored:
            self._expected[_N_SHARED : self._first_own] = list(_SAVED.values())
        penalties = (_SHARED_PENALTY,) * self._first_own + (_OWN_PENALTY,) * n_own
        self._ridge = Ridge(penalties)
        self._coefficients: list[float] = self._expected.tolist()
        self._prior = list(self._coefficients)
        self._unit = 1.0

    def add(self, layers: Sequence[LayerCost], value: float) -> None:
        """Adds one measured network, the uncompressed one first.

        Args:
            layers: Its layers in order.
            value: Its score, above 0.
        """
        if not self.n_observed:
            self._unit = value
        row = np.zeros(len(self._expected))
        row[_FIXED] = 1.0
        for layer in layers:
            for column, term in self._terms(layer):
                row[column] += term
        # In shares of what was measured, so that a small network counts as much as a large one.
        self._ridge.add(row * self._unit / value, 1.0)
        self._coefficients = self._ridge.coefficients(self._expected).tolist()
        self.n_observed += 1

    def value(self, layers: Sequence[LayerCost]) -> float:
        """Predicted score of a network."""
        return self._unit * (max(0.0, self._coefficients[_FIXED]) + sum([self.share(layer) for layer in layers]))

    def share(self, layer: LayerCost) -> float:
        """One layer's part, as a share of the first network's score."""
        terms = list(self._terms(layer))
        fitted = sum([self._coefficients[column] * term for column, term in terms])
        return max(fitted, _LEAST_SHARE * sum([self._prior[column] * term for column, term in terms]))

    def _terms(self, layer: LayerCost) -> Iterator[tuple[int, float]]:
        """The terms that apply to a layer, each with its value."""
        form = layer.form
        macs, n_bytes = layer.macs / self._macs, self._n_bytes(form) / self._bytes
        yield _MACS, macs
        yield _BYTES, n_bytes
        yield _OUTPUTS, form.activations / self._outputs
        if layer.bits_behind not in (form.bits, None):
            yield _CHANGES, 1 / len(self._position)
        if form.bits in self._narrow:
            yield _N_SHARED + self._narrow.index(form.bits), macs
        own = n_bytes if self._is_stored else macs * (1 + _SAVED.get(form.bits, 0.0) / _WORKED[_MACS])
        yield self._first_own + self._position[form.layer], own


def weight_bytes(form: Form) -> float:
    """Of a layer in the file that a runtime loads."""
    return form.weight_bytes


def stored_bytes(form: Form) -> float:
    """Of a layer in a packed file."""
    return form.stored_bytes
