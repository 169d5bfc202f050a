import math

import pytest
import torch

from parefront.hardware_profiles.errors import PackingError
from parefront.packing import fitted_levels, lloyd_max


@pytest.mark.parametrize(
    ("distribution", "k", "mse"),
    [
        ("gaussian", 4, 0.11748),
        ("gaussian", 16, 0.009501),
        ("gaussian", 32, 0.002505),
        ("laplace", 4, 0.17619),
        ("laplace", 16, 0.01537),
        ("laplace", 32, 0.00410),
    ],
)
def test_has_the_published_error(distribution: str, k: int, mse: float) -> None:
    """Max 1960, table I, and the like for a Laplace."""
    assert lloyd_max(k, distribution).mse == pytest.approx(mse, rel=1e-3)


@pytest.mark.parametrize(("distribution", "factor"), [("gaussian", math.sqrt(3) * math.pi / 2), ("laplace", 9 / 2)])
def test_many_levels_come_near_the_theory(distribution: str, factor: float) -> None:
    """Panter and Dite 1951: the cube of the integral of the density's cube root, over 12 k²."""
    assert lloyd_max(256, distribution).mse == pytest.approx(factor / 256**2, rel=0.01)


@pytest.mark.parametrize(("distribution", "level"), [("gaussian", math.sqrt(2 / math.pi)), ("laplace", math.sqrt(0.5))])
def test_two_levels_are_the_mean_magnitude(distribution: str, level: float) -> None:
    found = lloyd_max(2, distribution)
    assert found.centroids.tolist() == pytest.approx([-level, level])
    assert found.mse == pytest.approx(1 - level**2)


@pytest.mark.parametrize("distribution", ["gaussian", "laplace"])
@pytest.mark.parametrize("k", [1, 3, 7, 64])
def test_levels_ascend_and_are_symmetric(distribution: str, k: int) -> None:
    levels = lloyd_max(k, distribution).centroids
    assert bool((levels.diff() > 0).all())
    assert torch.allclose(levels, -levels.flip(0), atol=1e-9)


def test_fits_a_mean_and_a_standard_deviation() -> None:
    spread = 3 * math.sqrt(2 / math.pi)
    assert fitted_levels(5.0, 3.0, 2).tolist() == pytest.approx([5 - spread, 5 + spread])


def test_refuses_what_has_no_levels() -> None:
    with pytest.raises(PackingError, match="at least 1, got 0"):
        lloyd_max(0)
    with pytest.raises(PackingError, match=r"unknown distribution 'gauss'.*gaussian, laplace"):
        lloyd_max(4, "gauss")
