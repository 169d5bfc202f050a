from dataclasses import replace

import pytest

from parefront.evaluators.evaluator import Score
from parefront.results import ResultsError, Run
from parefront.results.trial_view import ScoreLine, view_trial, word_fidelity
from parefront.search.trial import REMEASURED, Fidelity, Trial


def test_scores_stand_beside_the_baseline_s(run: Run) -> None:
    lines = {line.name: line for line in view_trial(run, 6).scores}
    assert list(lines) == ["accuracy %", "test accuracy %", "latency ms", "file size kB"]
    assert lines["accuracy %"] == ScoreLine("accuracy %", "93.25 [92.25, 94.25]", "94.00", "0.75 pt lost [0.25, 1.25]")
    assert lines["test accuracy %"] == ScoreLine("test accuracy %", "92.25", "93.00", "0.75 pt lost")
    # 2 ms over 0.2 ms; 1 MB over 62.5 kB.
    assert lines["latency ms"] == ScoreLine("latency ms", "0.200 [0.198, 0.202]", "2.000", "10.0x faster")
    assert lines["file size kB"] == ScoreLine("file size kB", "62.5", "1000.0", "16.0x smaller")


def test_a_gain_turns_the_interval_with_it(run: Run, trials: list[Trial]) -> None:
    better = Score("accuracy_drop", -0.5, "pt", False, -1.5, 0.25)
    gained = replace(trials[6], scores={**trials[6].scores, "accuracy_drop": better})
    found = view_trial(replace(run, trials=(*trials[:6], gained)), 6).scores[0]
    assert found.difference == "0.50 pt gained [-0.25, 1.50]"


def test_other_profiles_and_scores_without_words_are_shown_too(run: Run, trials: list[Trial]) -> None:
    more = {
        "latency_ms@board": Score("latency_ms@board", 4.0, "ms", False),
        "macs": Score("macs", 2.5e6, "MACs", False),
        "parity_error": Score("parity_error", 1.5e-7, "", False),
    }
    shown = replace(trials[6], scores={**trials[6].scores, **more})
    lines = {line.name: line.value for line in view_trial(replace(run, trials=(*trials[:6], shown)), 6).scores}
    assert lines["latency on board ms"] == "4.000"
    assert lines["M MACs"] == "2.5"
    assert lines["parity error"] == "1.5e-07"


def test_every_layer_says_what_was_done(run: Run) -> None:
    conv1, fc = view_trial(run, 6).layers
    assert (conv1.name, conv1.words) == ("conv1", ("64→16", "int8"))
    assert conv1.facts == "conv, 3→64 channels, 1,000,000 MACs"
    assert fc.words == ()


@pytest.mark.parametrize(
    ("number", "standing"),
    [
        (1, "promoted as #5"),
        (2, "closed before training: cannot enter the front"),
        (3, "failed: TrainingError: loss is nan"),
        (4, "the baseline, on the front"),
        (5, "on the front"),
        (6, "on the front, the pick"),
        (8, "failed its verification: ExportError: parity is 71 %"),
    ],
)
def test_what_became_of_it(run: Run, number: int, standing: str) -> None:
    assert view_trial(run, number).standing == standing


def test_one_that_was_measured_again_points_to_the_later_one(run: Run, trials: list[Trial]) -> None:
    again = replace(trials[6], number=9, details={REMEASURED: 6})
    assert view_trial(replace(run, trials=(*trials, again)), 6).standing == "measured again as #9, which counts instead"


def test_the_plain_data_hold_the_record_and_more(run: Run) -> None:
    data = view_trial(run, 6).to_json()
    assert data["configuration"] == {"bits/conv1": 8, "prune/conv1": 16}
    assert data["scores"]["latency_ms"]["value"] == 0.2
    assert data["layers"][0]["done"] == ["64→16", "int8"]
    assert data["artefact_state"] == "damaged"


@pytest.mark.parametrize("number", [-1, 9, 99])
def test_a_trial_that_is_not_there_is_one_line(run: Run, number: int) -> None:
    with pytest.raises(ResultsError, match=rf"the trial must be one of .*, got {number}: its 9 trials are 0 to 8"):
        view_trial(run, number)
    with pytest.raises(ResultsError, match="it has no trial yet"):
        view_trial(replace(run, trials=()), number)


def test_training_in_words() -> None:
    words = [word_fidelity(fidelity) for fidelity in Fidelity]
    assert words == ["without training", "after the short fine-tune", "after the full fine-tune"]
