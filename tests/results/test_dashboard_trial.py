from dataclasses import replace
from typing import Any

import pytest

from parefront.results import ResultsError, Run
from parefront.results.dashboard_address import Selection
from parefront.results.dashboard_trial import MAX_ENTRIES, trial_layers, trial_panel


def entry(message: str, **fields: Any) -> dict[str, Any]:
    return {"time": "2026-01-01T10:00:02.500+00:00", "level": "ERROR", "message": message, **fields}


def test_a_trial_is_shown_with_its_scores_and_file(run: Run) -> None:
    (run.artefacts / "6.onnx").write_bytes(bytes(62_500))
    panel = trial_panel(run, Selection(run="a b", trial=6), [])
    assert "On the front, the pick, after the full fine-tune." in panel
    assert 'href="/artefact?run=a+b&amp;trial=6"' in panel
    assert "93.25<small>[92.25, 94.25]</small>" in panel
    assert "10.0x faster" in panel
    layers = trial_layers(run, Selection(run="a b", trial=6), [])
    assert "<td>conv1</td><td>64→16 · int8</td>" in layers
    assert "Unchanged: 1 of 2 layers." in layers


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (3, "Failed: TrainingError: loss is nan."),
        (2, "Closed before training: cannot enter the front."),
        (8, "Failed its verification: ExportError: parity is 71 %"),
        (5, "Its file is not handed out: it is missing."),
    ],
)
def test_what_went_wrong_is_said(run: Run, number: int, words: str) -> None:
    panel = trial_panel(run, Selection(run="a", trial=number), [])
    assert words in panel
    assert 'href="/artefact' not in panel


def test_the_log_is_shown_as_text(run: Run) -> None:
    log = [*(entry(f"number {i}") for i in range(MAX_ENTRIES)), entry("<b>bad</b>", trace="Traceback <i>")]
    layers = trial_layers(run, Selection(run="a", trial=6), log)
    assert "2026-01-01 10:00:02" in layers
    assert "&lt;b&gt;bad&lt;/b&gt;<pre>Traceback &lt;i&gt;</pre>" in layers
    assert "number 0<" not in layers
    assert "1 earlier entries are in log.jsonl" in layers
    assert "Nothing: the run has no log" in trial_layers(run, Selection(run="a", trial=6), [])


def test_without_a_trial_it_says_how_to_choose_one(run: Run) -> None:
    assert "A click on a point" in trial_panel(run, Selection(run="a"), [])
    assert trial_layers(run, Selection(run="a"), []) == ""
    with pytest.raises(ResultsError, match="got 99"):
        trial_panel(replace(run), Selection(run="a", trial=99), [])
