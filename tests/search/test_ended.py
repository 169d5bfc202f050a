from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parefront.evaluators import Evaluation
from parefront.evaluators.evaluator import Score
from parefront.hardware_profiles.runtimes import OperatorTime
from parefront.search.ended import as_trial, operator_times, structure_of
from parefront.search.proposal import Proposal
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import Configuration

HERE, THERE = OperatorTime("conv", "Conv", "fp32", 2.5), OperatorTime("conv", "Convolution", "int8", 1.25)


def ended(details: Mapping[str, Any] | None = None) -> Trial:
    scores = {
        "accuracy": Score("accuracy", 90.0, "%", True),
        "latency_ms": Score("latency_ms", 1.0, "ms", False),
        "latency_ms@board": Score("latency_ms@board", 3.0, "ms", False),
    }
    evaluation = Evaluation(
        scores,
        {"measure": 1.0},
        Path("trial-2.onnx"),
        (HERE,),
        details={"latency_quality@board": "good"},
        operator_times_at={"board": (THERE,)},
    )
    proposal = Proposal(Configuration(), "by hand", details or {})
    return Trial.from_json(as_trial(2, proposal, State.COMPLETE, Fidelity.SHORT, evaluation).to_json())


def test_operators_are_recorded_for_every_profile() -> None:
    trial = ended()
    assert trial.details["operators@board"] == [["conv", "Convolution", "int8", 1.25]]
    assert operator_times(trial) == (HERE,)
    assert operator_times(trial, "board") == (THERE,)
    assert operator_times(trial, "elsewhere") == ()


def test_a_promotion_starts_from_what_was_measured_everywhere() -> None:
    found = structure_of(ended({"sampler": "state"}), Path("artefacts"))
    assert set(found.scores) == {"latency_ms", "latency_ms@board"}
    assert (found.operator_times, found.operator_times_at) == ((HERE,), {"board": (THERE,)})
    assert found.details == {"latency_quality@board": "good"}
    assert found.artefact == Path("artefacts/trial-2.onnx")
