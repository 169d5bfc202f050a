"""Accuracy on a task's splits, and what was lost against the baseline on the same samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..hardware_profiles.runtimes import Session
from ..tasks import TaskData
from ..training import Split
from .accuracy import accuracy_score, drop_score, runtime_outputs, sample_scores
from .evaluator import Score

Samples = NDArray[np.float64]
"""One score per sample, shape (n,)."""


class PairedAccuracy:
    """Judges networks on the validation and the test split; drops are there once the reference is set."""

    def __init__(self, data: TaskData, score: Callable[[Tensor, Tensor], Tensor]) -> None:
        """Starts without a reference.

        Args:
            data: The splits.
            score: The task's, see `Task`.
        """
        self._data, self._score = data, score
        self._reference: Samples | None = None
        self._test_reference: Samples | None = None

    def set_reference(self, samples: Samples, test_samples: Samples) -> None:
        """Sets the baseline's score per sample that drops are paired with, on validation and on test."""
        self._reference, self._test_reference = samples, test_samples

    def samples(self, session: Session, split: Split) -> Samples:
        """The score of every sample of a split, as the runtime computes the network."""
        return sample_scores(runtime_outputs(session, split), split, self._score)

    def on_validation(self, samples: Samples) -> dict[str, Score]:
        """`accuracy`, and `accuracy_drop` where there is a reference."""
        return _scores("accuracy", "accuracy_drop", samples, self._reference, self._data.validation)

    def on_test(self, samples: Samples) -> dict[str, Score]:
        """`test_accuracy`, and `test_drop` where there is a reference."""
        return _scores("test_accuracy", "test_drop", samples, self._test_reference, self._data.test)


def _scores(accuracy: str, drop: str, samples: Samples, reference: Samples | None, split: Split) -> dict[str, Score]:
    scores = {accuracy: accuracy_score(accuracy, samples, split.origins)}
    if reference is not None:
        scores[drop] = drop_score(drop, samples, reference, split.origins)
    return scores
