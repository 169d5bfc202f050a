"""How far a compressed network's outputs are from the uncompressed one's, without any training.

Both are finished at the `calibrated` fidelity (BatchNorm re-estimated on the same inputs, ranges calibrated), so that
a configuration is charged for what it changes and for nothing else. Without training, the sum of the squared errors of
a configuration's choices ranked accuracy drops on both digit tasks better than the Kullback-Leibler divergence of the
classes, than the loss and than what the weights alone tell (`sensitivity.py`); this measure is that error without a
common scale, see `benchmarks/first_order.py` for how it ranks them. Training mends some choices more than
others, folds above all, so after it the measure needs a scale for each technique, as that of the weights does.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..spaces import (
    DEFAULT_OPTIONS,
    CompressionOptions,
    Configuration,
    Network,
    finish,
    prepare,
    reestimate_batch_norm,
    set_linearity,
    simulate,
)
from ..spaces.compress import encode

N_INPUTS = 64
"""Calibration inputs that are compared; four times as many rank configurations no better and take twice the time."""


class OutputDivergence:
    """Compares configurations of one network with the network itself."""

    def __init__(self, network: Network, inputs: Tensor, options: CompressionOptions = DEFAULT_OPTIONS) -> None:
        """Runs the uncompressed network once.

        Args:
            network: Traced; not touched.
            inputs: Training inputs, shape (n, ...); the first `N_INPUTS` are used.
            options: How ranges are calibrated.
        """
        self._network, self._inputs, self._options = network, inputs[:N_INPUTS], options
        self._reference = self._outputs(Configuration())

    def of(self, configuration: Configuration) -> float:
        """See `divergence`.

        Args:
            configuration: Canonical.

        Returns:
            0 for the uncompressed network, about 1 where the outputs no longer depend on the inputs; NaN where they are
            no numbers.

        Raises:
            SpaceError: The configuration cannot be finished, as where values are too large for fp16.
        """
        return divergence(self._reference, self._outputs(configuration) - self._reference)

    def _outputs(self, configuration: Configuration) -> Tensor:
        """Shape (n, numbers per sample), in float64."""
        module = prepare(self._network, configuration)
        set_linearity(module, 1.0)  # what is folded is linear when the statistics are taken, as it will be
        stored = encode(module, configuration)  # and so are weights in few bits
        reestimate_batch_norm(module, self._inputs)
        finished = finish(module, configuration, self._inputs, self._options, stored=stored)
        with torch.no_grad():
            outputs: Tensor = simulate(finished.module, finished.plan)(self._inputs)
        return outputs.reshape(len(outputs), -1).double()


def divergence(outputs: Tensor, change: Tensor) -> float:
    """The share of the energy of changed outputs that is not in the unchanged ones, however these are scaled.

    A shift that is the same for all samples does not count, nor a scale that is the same for all: any fine-tune mends
    them at once, and they change no classification. Where they counted, folds in front of a classifier looked ruinous
    that cost half a point.

    Args:
        outputs: Unchanged, shape (n, numbers per sample).
        change: Of the same shape.

    Returns:
        Between 0 and 1, which it is also where the outputs turn round; NaN where the change holds no finite numbers.
    """
    before = outputs.double() - outputs.double().mean(0)
    after = before + change.double() - change.double().mean(0)
    energy = float(before.square().sum() * after.square().sum())
    along = float((before * after).sum())
    if math.isnan(along) or math.isinf(energy):
        return math.nan
    return 1.0 if along <= 0 else max(0.0, 1 - along**2 / energy)
