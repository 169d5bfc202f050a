"""How far a compressed network's outputs are from the uncompressed one's, without any training.

Both are finished at the `calibrated` fidelity (BatchNorm re-estimated on the same inputs, ranges calibrated), so that
a configuration is charged for what it changes and for nothing else. Without training, the sum of this measure over the
choices of a configuration ranked accuracy drops on both digit tasks better than the Kullback-Leibler divergence of the
classes, than the loss and than what the weights alone tell (`sensitivity.py`). Training mends some choices more than
others, folds above all, so after it the measure needs a scale for each technique, as that of the weights does.
"""

from __future__ import annotations

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
        self._energy = max(float(self._reference.square().sum()), torch.finfo(torch.float64).tiny)

    def of(self, configuration: Configuration) -> float:
        """Squared error of the outputs over their energy, both without their mean over the samples.

        Args:
            configuration: Canonical.

        Returns:
            0 for the uncompressed network, about 1 where the outputs no longer depend on the inputs, more where they
            are wrong; NaN or infinite where they are no numbers.

        Raises:
            SpaceError: The configuration cannot be finished, as where values are too large for fp16.
        """
        return float((self._outputs(configuration) - self._reference).square().sum()) / self._energy

    def _outputs(self, configuration: Configuration) -> Tensor:
        """Shape (n, numbers per sample), without the mean over the samples, in float64."""
        module = prepare(self._network, configuration)
        set_linearity(module, 1.0)  # what is folded is linear when the statistics are taken, as it will be
        stored = encode(module, configuration)  # and so are weights in few bits
        reestimate_batch_norm(module, self._inputs)
        finished = finish(module, configuration, self._inputs, self._options, stored=stored)
        with torch.no_grad():
            outputs: Tensor = simulate(finished.module, finished.plan)(self._inputs)
        flat = outputs.flatten(1).double()
        # A shift that is the same for all samples is mended by any fine-tune at once.
        return flat - flat.mean(0)
