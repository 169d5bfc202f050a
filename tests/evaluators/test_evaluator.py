import json

from parefront.evaluators.evaluator import Score


def test_a_score_survives_json() -> None:
    for score in (Score("accuracy", 91.5, "%", True, 90.2, 92.8), Score("size_bytes", 1024.0, "bytes", False)):
        assert Score.from_json(json.loads(json.dumps(score.to_json()))) == score
