"""What is put together without a device; on real files every score is tested with the workbench."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parefront.evaluators import Evaluation
from parefront.evaluators.evaluator import Score
from parefront.evaluators.network_scores import NetworkScores
from parefront.evaluators.stopwatch import Stopwatch


class HalfRight:
    """Judges every network alike: of two samples the first is right."""

    def samples(self, session: Any, split: Any) -> Any:
        return np.array([1.0, 0.0])

    def on_validation(self, samples: Any) -> dict[str, Score]:
        return {"accuracy": Score("accuracy", 100 * samples.mean(), "%", True)}


class Data:
    validation = "the validation split"


@pytest.fixture
def scores() -> NetworkScores:
    return NetworkScores(None, HalfRight(), Data(), ())  # type: ignore[arg-type]


def test_a_file_s_accuracy_joins_what_is_known_of_its_structure(scores: NetworkScores) -> None:
    latency = Score("latency_ms", 2.0, "ms", False)
    structure = Evaluation({"latency_ms": latency}, {"measure": 3.0, "evaluate": 1.0}, Path("x"), reason="too wide")
    watch = Stopwatch()
    watch.seconds |= {"evaluate": 0.5, "export": 0.25}
    found = scores.with_accuracy_of("a session", structure, watch)  # type: ignore[arg-type]
    assert {name: score.value for name, score in found.scores.items()} == {"latency_ms": 2.0, "accuracy": 50.0}
    assert (found.seconds["measure"], found.seconds["export"]) == (3.0, 0.25)
    assert found.seconds["evaluate"] >= 1.5
    assert found.reason == "too wide"
    assert found.samples is not None
    assert found.samples.tolist() == [1.0, 0.0]
    assert structure.seconds == {"measure": 3.0, "evaluate": 1.0}  # the structure's own evaluation is left as it was


def test_a_file_of_any_origin_needs_an_anchored_device() -> None:
    class Unanchored:
        main = type("Main", (), {"latency": None})

    with pytest.raises(AssertionError, match="anchor"):
        NetworkScores(Unanchored(), HalfRight(), Data(), ()).of_file(Path("x"), "int8", is_final=True)  # type: ignore[arg-type]
