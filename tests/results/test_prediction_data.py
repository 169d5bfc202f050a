from dataclasses import replace

from parefront.results.prediction_data import PredictionPoint, prediction_data
from parefront.results.prediction_figure import draw_prediction
from parefront.search.trial import Trial


def test_predictions_stand_beside_measurements(trials: list[Trial]) -> None:
    predicted = replace(trials[1], details={"predicted_ms": 0.55})
    promoted = replace(trials[5], details={"predicted_ms": 0.55})  # its latency was known by then
    points = prediction_data([trials[0], predicted, promoted])
    assert points == (PredictionPoint(1, 0.55, 0.5, "int8"),)
    figure = draw_prediction(points)
    assert [trace.name for trace in figure.data] == ["equal", "int8"]
    assert figure.data[1].hovertext[0].endswith("predicted +10.0 %")


def test_a_sampler_without_a_predictor_has_no_picture() -> None:
    assert "Nothing was predicted" in draw_prediction(()).layout.annotations[0].text
