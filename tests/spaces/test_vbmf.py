import math

import pytest
import torch
from torch import Tensor

from parefront.spaces.truncation import singular_energy
from parefront.spaces.vbmf import vbmf_rank


def noise(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def rank_of(matrix: Tensor) -> int:
    return vbmf_rank(singular_energy(matrix), max(matrix.shape))


@pytest.mark.parametrize("rank", [1, 5, 12])
@pytest.mark.parametrize("sigma", [1e-3, 0.1])
def test_the_rank_behind_the_noise_is_found(rank: int, sigma: float) -> None:
    signal = noise(60, rank) @ noise(rank, 40, seed=1)
    assert rank_of(signal + sigma * noise(60, 40, seed=2)) == rank
    assert rank_of((signal + sigma * noise(60, 40, seed=2)).T) == rank


def test_an_exact_rank_needs_no_noise() -> None:
    assert rank_of(noise(60, 5) @ noise(5, 40, seed=1)) == 5


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_has_no_rank(seed: int) -> None:
    assert rank_of(noise(60, 40, seed)) == 0
    assert rank_of(noise(64, 576, seed)) == 0


def test_zeros_have_no_rank() -> None:
    assert rank_of(torch.zeros(6, 4, dtype=torch.float64)) == 0


@pytest.mark.parametrize(("strength", "rank"), [(0.8, 0), (1.3, 1)])
def test_a_component_counts_from_the_threshold_on(strength: float, rank: int) -> None:
    # For a square matrix τ is the zero of log(1 + τ) / τ = 1 / 2, 2.5129, so a singular value counts from
    # sqrt((1 + τ) (1 + 1 / τ)) = 2.216 times sqrt(M) σ on. Noise adds to a component of size s sqrt(M) σ:
    # it is seen at s sqrt((1 + 1 / s²) (1 + 1 / s²)), so s = sqrt(τ) = 1.585 is where it begins to count.
    n = 400
    left, right = torch.linalg.qr(noise(n, 1)).Q, torch.linalg.qr(noise(n, 1, seed=1)).Q
    size = strength * 2.5129**0.5 * math.sqrt(n)
    assert rank_of(size * left @ right.T + noise(n, n, seed=2)) == rank


def test_the_scale_of_the_matrix_does_not_matter() -> None:
    matrix = noise(60, 5) @ noise(5, 40, seed=1) + 0.1 * noise(60, 40, seed=2)
    assert rank_of(1e-4 * matrix) == rank_of(1e4 * matrix) == 5
