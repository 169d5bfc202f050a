import json

import pytest

from parefront.evaluators.evaluator import Score
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import Configuration

FULL = Trial(
    number=7,
    configuration=Configuration.of({"bits/x": 8, "rank/x": "spatial:24"}),
    fidelity=Fidelity.SHORT,
    state=State.COMPLETE,
    scores={"latency_ms": Score("latency_ms", 1.5, "ms", False, 1.4, 1.6)},
    origin="mutation of #3",
    parent=3,
    seconds={"train": 2.5},
    artefact="7.onnx",
    is_verified=True,
    details={"executed_int8": 3},
)


@pytest.mark.parametrize(
    "trial",
    [
        FULL,
        Trial(0, Configuration(), Fidelity.FULL, State.COMPLETE),
        Trial(1, Configuration(), Fidelity.CALIBRATED, State.FAILED, reason="TrainingError: the loss must stay finite"),
        Trial(2, Configuration(), Fidelity.SHORT, State.DOMINATED, is_verified=False),
    ],
)
def test_a_trial_survives_json(trial: Trial) -> None:
    assert Trial.from_json(json.loads(json.dumps(trial.to_json()))) == trial


def test_scores_are_read_by_name() -> None:
    assert FULL.value("latency_ms") == 1.5
    with pytest.raises(KeyError, match="accuracy"):
        FULL.value("accuracy")


@pytest.mark.parametrize("name", ["fidelity", "state"])
def test_an_unknown_word_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="'medium' is not a valid"):
        Trial.from_json({**FULL.to_json(), name: "medium"})
