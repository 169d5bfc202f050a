"""The networks of candidates, ready to be exported: untrained, calibrated or trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, fx

from ..hardware_profiles.profile import Capabilities
from ..spaces import (
    CompressionOptions,
    Configuration,
    Finished,
    Network,
    finish,
    prepare,
    reestimate_batch_norm,
)
from ..spaces.compress import encode
from ..spaces.linearise import set_linearity
from ..training import OnStep, Split, TrainingRecipe
from .candidate_training import CandidateTraining, Start, TrainedRounding
from .stopwatch import Stopwatch

DEFAULT_CAPABILITIES = Capabilities()


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: for work in many small operations, waking the others costs more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class CandidateNetworks:
    """Builds the networks of one task's candidates; every method adds its time to the stopwatch it is given."""

    def __init__(
        self,
        network: Network,
        training: CandidateTraining,
        train: Split,
        calibration: Tensor,
        options: CompressionOptions,
        capabilities: Capabilities = DEFAULT_CAPABILITIES,
    ) -> None:
        """Nothing is built or trained yet.

        Args:
            network: The traced baseline.
            training: How candidates are trained.
            train: On what.
            calibration: Training inputs that ranges are measured on, shape (n, ...).
            options: How the techniques work where there is more than one way.
            capabilities: What the hardware executes.
        """
        self._network, self._training, self._train = network, training, train
        self._calibration, self._options, self._capabilities = calibration, options, capabilities

    def untrained(self, configuration: Configuration, watch: Stopwatch) -> Finished:
        """The structure, with the weights that the uncompressed network leaves it."""
        with watch("prepare"), one_thread():
            return self._finish(prepare(self._network, configuration), configuration)

    def calibrated(self, configuration: Configuration, watch: Stopwatch) -> Finished:
        """Without training, but with BatchNorm's statistics estimated anew."""
        with watch("prepare"), one_thread():
            module = prepare(self._network, configuration)
            set_linearity(module, 1.0)  # what is folded is linear when the statistics are taken, as it will be
            stored = encode(module, configuration)  # and so are weights in few bits
            reestimate_batch_norm(module, self._calibration)
            return self._finish(module, configuration, TrainedRounding({}, stored))

    def trained(
        self, configuration: Configuration, recipe: TrainingRecipe, watch: Stopwatch, on_step: OnStep | None = None
    ) -> Finished:
        """Trained from what a candidate has of the uncompressed network."""
        with watch("prepare"), one_thread():
            start = self._training.start(configuration)
        return self._trained(start, recipe, watch, on_step)

    def inherited(
        self,
        configuration: Configuration,
        recipe: TrainingRecipe,
        ended: Sequence[Configuration],
        watch: Stopwatch,
        on_step: OnStep | None = None,
    ) -> tuple[Finished, Start]:
        """Trained from the weights of the nearest of the ended trials, and what it started from."""
        with watch("prepare"), one_thread():
            start = self._training.start(configuration, ended)
        finished = self._trained(start, recipe, watch, on_step)
        with watch("prepare"):
            self._training.keep(start, ended)
        return finished, start

    def _trained(self, start: Start, recipe: TrainingRecipe, watch: Stopwatch, on_step: OnStep | None) -> Finished:
        with watch("train"):
            rounding = self._training.train(start, self._train, recipe, on_step)
        with watch("prepare"), one_thread():
            return self._finish(start.module, start.configuration, rounding)

    def _finish(
        self, module: fx.GraphModule, configuration: Configuration, trained: TrainedRounding | None = None
    ) -> Finished:
        return finish(
            module,
            configuration,
            self._calibration,
            self._options,
            trained.values if trained is not None else None,
            trained.stored if trained is not None else None,
            self._capabilities.sparse_density,
        )
