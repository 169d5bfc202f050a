import json

from parefront.evaluators.evaluator import Score, at_profile


def test_a_score_survives_json() -> None:
    for score in (Score("accuracy", 91.5, "%", True, 90.2, 92.8), Score("size_bytes", 1024.0, "bytes", False)):
        assert Score.from_json(json.loads(json.dumps(score.to_json()))) == score


def test_what_another_profile_measured_is_named_after_it() -> None:
    score = Score("latency_ms", 2.0, "ms", False, 1.9, 2.1)
    assert score.renamed(at_profile(score.name, "board")) == Score("latency_ms@board", 2.0, "ms", False, 1.9, 2.1)
