import json

import pytest

from parefront.hardware_profiles.errors import TrainingError
from parefront.training import TrainingRecipe


def test_steps_are_full_batches_and_at_least_one() -> None:
    assert TrainingRecipe(n_samples=1_000, learning_rate=0.1, batch_size=64).n_steps(1_000) == 15
    assert TrainingRecipe(n_samples=10, learning_rate=0.1, batch_size=64).n_steps(1_000) == 1


def test_epochs_are_passes_through_the_split() -> None:
    recipe = TrainingRecipe(n_epochs=2.5, batch_size=64)
    assert recipe.n_steps(640) == 25
    # A batch is at most the split.
    assert TrainingRecipe(n_epochs=3, batch_size=64).n_steps(10) == 3


@pytest.mark.parametrize("both", [{}, {"n_samples": 10, "n_epochs": 1.0}])
def test_either_samples_or_epochs_are_given(both: dict[str, float]) -> None:
    with pytest.raises(TrainingError, match="either n_samples or n_epochs must be above 0"):
        TrainingRecipe(**both)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "known"), [("optimiser", "sgd"), ("schedule", "one-cycle"), ("precision", "bf16")])
def test_unknown_names_list_the_known_ones(name: str, known: str) -> None:
    with pytest.raises(TrainingError, match=f"unknown {name} 'sdg': .*{known}"):
        TrainingRecipe(**{"n_samples": 1, name: "sdg"})  # type: ignore[arg-type]


def test_it_is_plain_data() -> None:
    recipe = TrainingRecipe(n_samples=100, learning_rate=0.1, distillation_weight=0.9)
    assert TrainingRecipe(**json.loads(json.dumps(recipe.to_json()))) == recipe


@pytest.mark.parametrize(
    ("name", "good", "bad", "message"),
    [
        ("n_samples", 1, -1, "either n_samples or n_epochs must be above 0, got -1 and 0"),
        ("n_cycles", 1, 0, "n_cycles must be at least 1, got 0"),
        ("batch_size", 1, 0, "batch_size must be at least 1, got 0"),
        ("learning_rate", 1e-6, 0.0, "learning_rate must be above 0, got 0.0"),
        ("learning_rate", 1.0, float("nan"), "learning_rate must be above 0, got nan"),
        ("temperature", 0.5, -1.0, "temperature must be above 0, got -1.0"),
        ("max_gradient_norm", 0.5, 0.0, "max_gradient_norm must be above 0, got 0.0"),
        ("weight_decay", 0.0, -0.1, "weight_decay must be at least 0, got -0.1"),
        ("warmup", 1.0, 1.1, "warmup must be between 0 and 1, got 1.1"),
        ("distillation_weight", 0.0, -0.1, "distillation_weight must be between 0 and 1, got -0.1"),
        ("linearisation", 0.0, 2.0, "linearisation must be between 0 and 1, got 2.0"),
        ("momentum", 0.0, 1.5, "momentum must be between 0 and 1, got 1.5"),
    ],
)
def test_values_out_of_range_are_refused(name: str, good: float, bad: float, message: str) -> None:
    values = {"n_samples": 100, "learning_rate": 0.1}
    assert getattr(TrainingRecipe(**{**values, name: good}), name) == good
    with pytest.raises(TrainingError) as error:
        TrainingRecipe(**{**values, name: bad})
    assert str(error.value) == message
