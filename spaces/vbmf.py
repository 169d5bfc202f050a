"""How many components of a noisy matrix are signal: the analytic solution of empirical variational Bayes."""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq, minimize_scalar
from torch import Tensor

Array = npt.NDArray[np.float64]

N_VARIANCES = 256
"""Noise variances tried on a logarithmic scale before the best is refined: the free energy has several valleys."""


def vbmf_rank(energy: Tensor, n_columns: int) -> int:
    """The number of components that the global solution of empirical VB matrix factorisation keeps.

    S. Nakajima, M. Sugiyama, S. D. Babacan, R. Tomioka: Global Analytic Solution of Fully-observed Variational Bayesian
    Matrix Factorization, JMLR 14 (2013); the threshold and the objective for the noise variance in the simpler form of
    S. Nakajima, R. Tomioka, M. Sugiyama, S. D. Babacan: Condition for Perfect Dimensionality Recovery by Variational
    Bayesian PCA, JMLR 16 (2015).

    Args:
        energy: All squared singular values of a matrix with L rows, largest first, shape (L,).
        n_columns: Its columns M, no fewer than its rows.

    Returns:
        Between 0, where all looks like noise, and L.
    """
    squares = np.clip(energy.double().cpu().numpy(), 0.0, None)
    n_rows = len(squares)
    if squares[0] == 0.0:
        return 0
    ratio = n_rows / n_columns
    threshold = _smallest_signal(ratio)
    variance = _noise_variance(squares, n_columns, ratio, threshold)
    return int((squares > n_columns * variance * threshold).sum())


@functools.cache
def _smallest_signal(ratio: float) -> float:
    """Squared singular value over M σ², above which a component is kept: (1 + τ)(1 + ratio / τ).

    τ is the zero of φ(τ) + φ(τ / ratio) with φ(z) = log(1 + z) / z - 1 / 2.
    """

    def balance(tau: float) -> float:
        return sum(math.log1p(z) / z - 0.5 for z in (tau, tau / ratio))

    # φ falls from 1/2 to -1/2 and is zero at 2.5129, so the zero lies between the two arguments' own zeros.
    tau = float(brentq(balance, 2.5 * ratio, 2.52))
    return (1 + tau) * (1 + ratio / tau)


def _noise_variance(squares: Array, n_columns: int, ratio: float, threshold: float) -> float:
    """The variance of least free energy, between the bounds that the paper gives."""
    n_rows = len(squares)
    most = max(0, min(math.ceil(n_rows / (1 + ratio)) - 1, n_rows - 1))  # components that can be signal
    upper = squares.sum() / (n_rows * n_columns)
    lower = max(squares[most] / (n_columns * threshold), squares[most:].mean() / n_columns)
    lower = min(max(lower, upper * 1e-12), upper)  # a matrix of exact low rank has no noise to find

    def free_energy(log_variance: float) -> float:
        return float(_free_energies(squares, n_columns, ratio, threshold, np.array([math.exp(log_variance)]))[0])

    tried = np.linspace(math.log(lower), math.log(upper), N_VARIANCES)
    best = int(np.argmin(_free_energies(squares, n_columns, ratio, threshold, np.exp(tried))))
    bounds = float(tried[max(best - 1, 0)]), float(tried[min(best + 1, N_VARIANCES - 1)])
    if bounds[0] == bounds[1]:
        return math.exp(bounds[0])
    return math.exp(minimize_scalar(free_energy, bounds=bounds, method="bounded").x)


def _free_energies(squares: Array, n_columns: int, ratio: float, threshold: float, variances: Array) -> Array:
    """The free energy at each noise variance, shape (v,), up to a constant."""
    x = np.maximum(squares / (n_columns * variances[:, None]), 1e-300)  # (v, L)
    noise = x - np.log(x)
    kept = np.where(x > threshold, x, threshold)
    tau = (kept - 1 - ratio + np.sqrt((kept - 1 - ratio) ** 2 - 4 * ratio)) / 2
    signal = np.log1p(tau) + ratio * np.log1p(tau / ratio) - tau
    total: Array = (noise + np.where(x > threshold, signal, 0.0)).sum(1)
    return total
