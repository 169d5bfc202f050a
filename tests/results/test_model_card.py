import json
from pathlib import Path
from typing import Any

from parefront.evaluators.evaluator import Score
from parefront.results import Run, load
from parefront.results.model_card import layer_words
from parefront.results.pick import choose


def test_the_words_are_those_of_the_layers_that_are_touched(run: Run) -> None:
    six, seven = (next(t for t in run.trials if t.number == number) for number in (6, 7))
    assert layer_words(run, six) == {"conv1": ["64→16", "int8"]}
    assert layer_words(run, seven) == {"conv1": ["64→16", "int8", "folded"], "fc": ["folded"]}
    assert layer_words(run, run.baseline) == {}


def test_a_card_says_all_that_a_user_asks(exported: Path, finished_run: Any) -> None:
    run = load(finished_run.directory.root)
    member = choose(run, "fastest")
    card = json.loads((exported / "model.onnx.card.json").read_text())
    assert (card["task"], card["license"], card["name"], card["format"]) == ("tiny", "CC0-1.0", "model.onnx", "onnx")
    assert card["configuration"] == dict(member.configuration)
    assert Score.from_json(card["scores"]["test_accuracy"]) == member.scores["test_accuracy"]
    assert Score.from_json(card["scores"]["latency_ms"]).low is not None
    assert Score.from_json(card["baseline"]["accuracy"]) == run.baseline.scores["accuracy"]
    assert card["is_measured_file"] is True
    assert card["hardware"]["profile"]["name"] == "fast"
    assert card["hardware"]["machine_key"] == run.manifest["fingerprint_key"]
    assert card["parity"]["error"] <= card["parity"]["tolerance"]
    assert (card["parity"]["n_probes"], card["parity"]["expected_from"][:7]) == (32, "PyTorch")
    assert card["files"]["model.onnx"]["bytes"] == member.value("size_bytes")
    assert card["versions"]["parefront"] == run.manifest["version"]
    other = json.loads((exported / "model.pt2.card.json").read_text())
    assert other["is_measured_file"] is False
    assert (
        str(finished_run.directory.root) not in (exported / "model" / "card.json").read_text()
    )  # whose machine it was
