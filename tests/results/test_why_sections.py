from dataclasses import replace

import pytest

from parefront.results import Run
from parefront.results.importance import ObjectiveImportance, SiteImportance
from parefront.results.markup import Html
from parefront.results.why_sections import importance_charts, objective_title, why_list


def test_each_member_has_its_chain(run: Run) -> None:
    trials = tuple(
        replace(trial, origin="mutation of #1", details={}) if trial.number == 6 else trial for trial in run.trials
    )
    html = why_list(replace(run, trials=trials))
    assert html.count("<dt>") == 3
    assert "#5 · 0.2 pt lost · 4.0x faster · 4.0x smaller</dt><dd>Promoted from #1, uniform int8</dd>" in html
    assert (
        "#6 · 0.8 pt lost · 10.0x faster · 16.0x smaller</dt><dd>Mutation of #1, uniform int8"
        "<small>What changed against #1: prune/conv1 64 → 16</small></dd>"
    ) in html


def test_what_is_recorded_cannot_inject_anything(run: Run) -> None:
    trials = tuple(replace(trial, origin="<img src=x>") for trial in run.trials)
    assert "<img" not in why_list(replace(run, trials=trials))


def test_a_run_that_has_just_begun_has_no_members(run: Run) -> None:
    assert "The front has no compressed network yet." in why_list(replace(run, trials=run.trials[:1]))


def test_each_objective_has_a_chart_or_a_reason() -> None:
    found = [
        ObjectiveImportance("accuracy", "pt", 40, 0.876, (SiteImportance("prune/a", 1.0, -3.0, True),)),
        ObjectiveImportance("latency@board", "%", 3, reason="3 trials tell it"),
    ]
    html = importance_charts(found, [Html("<figure>1</figure>"), Html("")])
    assert "<h3>Accuracy</h3>" in html
    assert "prune 100%. They predict 88% of how 40 trials differ." in html
    assert html.count("<figure>") == 1
    assert "<h3>Latency on board</h3>" in html
    assert "Nothing can be said: 3 trials tell it." in html


@pytest.mark.parametrize(("name", "title"), [("size", "Size"), ("latency@Pi 5", "Latency on Pi 5")])
def test_an_objective_as_a_heading(name: str, title: str) -> None:
    assert objective_title(name) == title
