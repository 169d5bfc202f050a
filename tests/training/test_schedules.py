import math

import pytest

from parefront.training import TrainingRecipe
from parefront.training.schedules import cosine_cycles, linearity, one_cycle, rate


@pytest.mark.parametrize(
    ("progress", "warmup", "expected"),
    [
        (0.0, 0.2, 1 / 25),  # start
        (0.1, 0.2, (1 / 25 + 1) / 2),  # half of the warm-up: a cosine is half-way there
        (0.2, 0.2, 1.0),  # peak
        (0.6, 0.2, 0.5),  # half of the fall
        (0.4, 0.2, 0.5 * (1 + math.cos(math.pi / 4))),  # a quarter of the fall
        (1.0, 0.2, 0.0),  # end
        (0.0, 0.0, 1.0),  # without warm-up it starts at the peak
        (1.0, 0.0, 0.0),
        (0.5, 1.0, (1 / 25 + 1) / 2),  # nothing but warm-up
        (1.0, 1.0, 1.0),
    ],
)
def test_one_cycle_by_hand(progress: float, warmup: float, expected: float) -> None:
    assert one_cycle(progress, warmup) == pytest.approx(expected, abs=1e-12)


def test_one_cycle_rises_then_falls() -> None:
    values = [one_cycle(step / 100, 0.3) for step in range(101)]
    assert values[:31] == sorted(values[:31])
    assert values[30:] == sorted(values[30:], reverse=True)


@pytest.mark.parametrize(
    ("progress", "duration", "expected"),
    [(0.0, 0.5, 0.0), (0.25, 0.5, 0.5), (0.5, 0.5, 1.0), (0.9, 0.5, 1.0), (0.75, 1.0, 0.75), (0.0, 0.0, 1.0)],
)
def test_activations_turn_linear_by_hand(progress: float, duration: float, expected: float) -> None:
    assert linearity(progress, duration) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("progress", "n_cycles", "expected"),
    [(0.0, 1, 1.0), (0.5, 1, 0.5), (0.25, 2, 0.5), (0.5, 2, 1.0), (0.75, 2, 0.5), (0.125, 2, 0.5 + math.sqrt(0.125))],
)
def test_cosines_start_anew(progress: float, n_cycles: int, expected: float) -> None:
    assert cosine_cycles(progress, n_cycles) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("one-cycle", 0.52), ("cosine", 0.5 + math.sqrt(0.5) / 2), ("constant", 1.0), ("snapshots", 0.5)],
)
def test_the_recipe_names_the_schedule(schedule: str, expected: float) -> None:
    recipe = TrainingRecipe(n_samples=1, schedule=schedule, warmup=0.5, n_cycles=2)  # type: ignore[arg-type]
    assert rate(0.25, recipe) == pytest.approx(expected)
