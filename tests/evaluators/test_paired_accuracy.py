import numpy as np
import pytest
import torch

from parefront.evaluators.paired_accuracy import PairedAccuracy
from parefront.hardware_profiles.runtimes import Session
from parefront.tasks import TaskData
from parefront.tasks.task import classification_hits
from parefront.training import Split


def split(*targets: int) -> Split:
    """Inputs that are the logits themselves: the first class always wins."""
    return Split(torch.tensor([[1.0, 0.0]] * len(targets)), torch.tensor(targets))


class Identity:
    """A runtime that gives back its inputs."""

    def run(self, inputs: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return inputs


@pytest.fixture
def accuracy() -> PairedAccuracy:
    return PairedAccuracy(TaskData(split(0), split(0, 0, 1, 0), split(1, 0)), classification_hits)


def test_without_a_reference_there_is_no_drop(accuracy: PairedAccuracy) -> None:
    session: Session = Identity()  # type: ignore[assignment]
    samples = accuracy.samples(session, split(0, 0, 1, 0))
    assert samples.tolist() == [1, 1, 0, 1]
    scores = accuracy.on_validation(samples)
    assert {name: score.value for name, score in scores.items()} == {"accuracy": 75.0}


def test_drops_are_paired_with_the_reference_of_their_split(accuracy: PairedAccuracy) -> None:
    accuracy.set_reference(np.array([1.0, 1.0, 1.0, 1.0]), np.array([0.0, 1.0]))
    validation, test = accuracy.on_validation(np.array([1.0, 1.0, 0.0, 1.0])), accuracy.on_test(np.array([1.0, 1.0]))
    assert (validation["accuracy"].value, validation["accuracy_drop"].value) == (75.0, 25.0)
    # More hits than the reference: a negative drop.
    assert (test["test_accuracy"].value, test["test_drop"].value) == (100.0, -50.0)
    assert (test["test_drop"].unit, test["test_drop"].is_higher_better) == ("pt", False)
