"""Accuracy of an artefact in the real runtime, with an interval that respects samples of one origin."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..hardware_profiles.runtimes.runtime import Session
from ..training import Split
from .evaluator import Score

NORMAL_95 = 1.959964
"""Two-sided 95 % quantile of the standard normal distribution."""
BATCH_SIZE = 64


def runtime_outputs(session: Session, split: Split) -> Tensor:
    """Outputs of the runtime for every sample, shape (n, ...)."""
    outputs = [session.run(batch.inputs.numpy()) for batch in split.batches(BATCH_SIZE)]
    return torch.from_numpy(np.concatenate(outputs))


def sample_scores(outputs: Tensor, split: Split, score: Callable[[Tensor, Tensor], Tensor]) -> NDArray[np.float64]:
    """The task's score of every sample, between 0 and 1, shape (n,)."""
    return score(outputs, split.targets).double().numpy()


def accuracy_score(name: str, samples: NDArray[np.float64], origins: Tensor | None) -> Score:
    """Mean of sample scores in percent, with its clustered 95 % interval."""
    return _percent(name, "%", samples, origins, is_higher_better=True)


def drop_score(name: str, samples: NDArray[np.float64], baseline: NDArray[np.float64], origins: Tensor | None) -> Score:
    """Accuracy lost against the baseline on the same samples, in percentage points, with its paired interval."""
    return _percent(name, "pt", baseline - samples, origins, is_higher_better=False)


def _percent(
    name: str, unit: str, values: NDArray[np.float64], origins: Tensor | None, *, is_higher_better: bool
) -> Score:
    mean, half_width = 100 * float(values.mean()), 100 * NORMAL_95 * clustered_standard_error(values, origins)
    return Score(name, mean, unit, is_higher_better, mean - half_width, mean + half_width)


def clustered_standard_error(values: NDArray[np.float64], origins: Tensor | None) -> float:
    """Standard error of the mean where samples of one origin are not independent.

    The square root of the summed squares of the clusters' residual sums, over n (Liang & Zeger 1986); with clusters of
    one it is the usual standard error.

    Args:
        values: Shape (n,).
        origins: Cluster of each value, shape (n,), or None.
    """
    residuals = values - values.mean()
    if origins is not None:
        _, cluster = np.unique(origins.numpy(), return_inverse=True)
        residuals = np.bincount(cluster, weights=residuals)
    n_clusters = len(residuals)
    correction = n_clusters / max(1, n_clusters - 1)
    return math.sqrt(correction * float((residuals**2).sum())) / len(values)
