"""Inputs with the outputs that belong to them: what an exported model is recognised by, wherever it runs."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from ..evaluators.deploy import relative_error
from .load import ResultsError

Function: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]
"""A loaded model: inputs (n, ...) to outputs (n, ...)."""
CLEAR_MARGIN = 4.0
"""A class is clear where the two largest outputs differ by this many times the tolerated error: to change places, each
would have to be off by twice that error."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well a model's outputs agree with the expected ones.

    Attributes:
        error: Root mean square difference over the deviation of the expected outputs.
        tolerance: What the error may be.
        n_probes: Inputs that were compared.
        n_clear: Inputs whose class is clear; None where outputs are no vectors of classes.
        n_same: Those of them that get the same class.
    """

    error: float
    tolerance: float
    n_probes: int
    n_clear: int | None = None
    n_same: int = 0

    @property
    def is_kept(self) -> bool:
        """Whether the model is the one that was exported."""
        return self.error <= self.tolerance and (self.n_clear is None or self.n_same == self.n_clear)

    @property
    def text(self) -> str:
        """In words."""
        classes = "" if self.n_clear is None else f", same class on {self.n_same} of {self.n_clear} clear ones"
        return (
            f"outputs differ by {self.error:.2g} of their deviation ({self.tolerance:g} allowed) on {self.n_probes} "
            f"inputs{classes}"
        )


@dataclass(frozen=True, slots=True)
class Probe:
    """Inputs and expected outputs.

    Attributes:
        inputs: Shape (n, ...).
        outputs: Shape (n, ...).
    """

    inputs: NDArray[Any]
    outputs: NDArray[Any]

    def write(self, path: Path) -> None:
        """Writes both into one NumPy file, without pickles."""
        np.savez_compressed(path, inputs=self.inputs, outputs=self.outputs)

    @classmethod
    def read(cls, path: Path) -> Probe:
        """Reads what `write` wrote.

        Raises:
            ResultsError: It is damaged.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
                return cls(content["inputs"], content["outputs"])
        except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile) as error:
            raise ResultsError(
                f"{path.name} must be as it was exported, got an error ({type(error).__name__}): export the model again"
            ) from error

    def compare(self, model: Function, tolerance: float) -> Agreement:
        """Runs a model on the inputs.

        Args:
            model: Loaded.
            tolerance: What its error may be.

        Raises:
            ResultsError: Its outputs have another shape.
        """
        actual, expected = model(self.inputs), self.outputs
        if actual.shape != expected.shape:
            raise ResultsError(
                f"the model must give outputs of shape {expected.shape}, got {actual.shape}: it is another one; export "
                "it again"
            )
        error = relative_error(torch.from_numpy(np.array(actual)), torch.from_numpy(expected))
        if expected.ndim != 2 or expected.shape[1] < 2:
            return Agreement(error, tolerance, len(expected))
        second, first = np.sort(expected, axis=1)[:, -2:].T
        clear = first - second > CLEAR_MARGIN * tolerance * expected.std()
        same = clear & (actual.argmax(1) == expected.argmax(1))
        return Agreement(error, tolerance, len(expected), int(clear.sum()), int(same.sum()))
