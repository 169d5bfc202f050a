from collections.abc import Callable
from dataclasses import replace

import pytest

from parefront.evaluators.evaluator import Score
from parefront.results import front_rows, summary_line
from parefront.results.findings import Findings
from parefront.results.summary import foretold_line, rungs_line, screening_line
from parefront.search.goals import Goals, parse_goals
from parefront.search.trial import Fidelity, State, Trial

MakeTrial = Callable[..., Trial]
INT8 = {"bits/conv1": 8}


def test_the_summary_names_the_fastest_member_within_one_point(trials: list[Trial]) -> None:
    # 2.0 / 0.2 ms; 1,000,000 / 62,500 bytes. #7 is faster and loses 3 points; #8 was not verified.
    expected = "10.0x faster and 16.0x smaller at 0.8 pt of accuracy lost (validation; 0.8 pt on test), #6"
    assert summary_line(Findings(trials)) == expected


def test_the_summary_says_when_no_member_is_within_one_point(make_trial: MakeTrial) -> None:
    trials = [make_trial(0, 0.0), make_trial(1, 2.5, 0.5, 500_000, INT8), make_trial(2, 4.0, 0.1, 100_000, INT8)]
    assert summary_line(Findings(trials)) == (
        "Nothing faster within 1 pt of the baseline; the smallest loss: "
        "4.0x faster and 2.0x smaller at 2.5 pt of accuracy lost (validation), #1"
    )


def test_a_running_search_is_summarised_at_the_short_fidelity(make_trial: MakeTrial) -> None:
    trials = [
        make_trial(0, 0.0, fidelity=Fidelity.SHORT),
        make_trial(1, 0.5, 1.0, choices=INT8, fidelity=Fidelity.SHORT),
    ]
    assert summary_line(Findings(trials)) == (
        "2.0x faster and 1.0x smaller at 0.5 pt of accuracy lost (validation, short fine-tune), #1"
    )


@pytest.mark.parametrize(
    ("drop", "test_drop", "words"),
    [
        (-0.3, -0.2, "at 0.3 pt of accuracy gained (validation; 0.2 pt on test)"),
        (-0.3, 0.2, "at 0.3 pt of accuracy gained (validation; 0.2 pt lost on test)"),
        (0.3, -0.2, "at 0.3 pt of accuracy lost (validation; 0.2 pt gained on test)"),
        (-0.01, 0.0, "at 0.0 pt of accuracy lost (validation; 0.0 pt on test)"),
    ],
)
def test_gains_are_not_called_losses(make_trial: MakeTrial, drop: float, test_drop: float, words: str) -> None:
    assert words in summary_line(
        Findings([make_trial(0, 0.0), make_trial(1, drop, 1.0, choices=INT8, test_drop=test_drop)])
    )


def test_what_grew_is_not_called_smaller(make_trial: MakeTrial) -> None:
    trials = [make_trial(0, 0.0), make_trial(1, 0.5, 1.0, 1_250_000, INT8)]
    assert summary_line(Findings(trials)).startswith("2.0x faster and 1.2x larger at")


def goals(objectives: list[str], *limits: str) -> Goals:
    return parse_goals(objectives, limits, ["cpu", "board"])


def test_the_summary_is_within_the_limit_that_was_set(trials: list[Trial]) -> None:
    assert summary_line(Findings(trials, goals([], "accuracy_drop<=0.5pt"))).endswith(", #5")
    assert summary_line(Findings(trials, goals([], "accuracy_drop<=3pt"))).endswith(", #7")
    assert Findings(trials, goals([], "accuracy_drop<=0.1pt")).pick is None


def test_the_summary_names_the_gain_in_each_objective(make_trial: MakeTrial) -> None:
    def counted(trial: Trial, macs: float, board_ms: float) -> Trial:
        more = {"macs": Score("macs", macs, "MACs", False), "latency_ms@board": Score("x", board_ms, "ms", False)}
        return replace(trial, scores={**trial.scores, **more})

    trials = [counted(make_trial(0, 0.0), 9e6, 4.0), counted(make_trial(1, 0.5, 1.0, 250_000, INT8), 3e6, 5.0)]
    loss = "at 0.5 pt of accuracy lost (validation), #1"
    assert summary_line(Findings(trials, goals(["accuracy", "size"]))) == f"4.0x smaller {loss}"
    assert summary_line(Findings(trials, goals(["accuracy", "macs", "latency", "latency@board"]))) == (
        f"3.0x fewer MACs, 2.0x faster and 1.2x slower on board {loss}"
    )
    rows = front_rows(Findings(trials, goals(["accuracy", "macs", "latency@board"])))
    assert [row.further["latency@board"].value for row in rows] == [4.0, 5.0]
    assert front_rows(Findings(trials))[0].further == {}


def test_the_summary_says_how_near_the_limits_were_met(make_trial: MakeTrial) -> None:
    trials = [
        make_trial(0, 0.0),
        make_trial(1, 0.5, 1.0, 500_000, INT8),
        make_trial(2, 4.0, 0.25, 100_000, {"prune/conv1": 8}),
    ]
    assert summary_line(Findings(trials, goals([], "drop<=1pt", "latency<=0.2ms"))) == (
        "No network keeps accuracy_drop<=1pt and latency<=0.2ms; the nearest: latency<=0.25ms (#2)"
    )
    assert summary_line(Findings(trials, goals([], "drop<=1pt", "latency<=0.5ms"))) == (
        "No network keeps accuracy_drop<=1pt and latency<=0.5ms at once, though each is kept"
    )


def test_what_breaks_a_limit_is_not_in_the_table_but_the_baseline_is(trials: list[Trial]) -> None:
    rows = front_rows(Findings(trials, goals([], "latency<=0.3ms")))
    assert [row.number for row in rows] == [4, 6, 7]
    assert rows[0].is_baseline


def test_the_summary_of_a_baseline_alone_counts_the_rest(make_trial: MakeTrial) -> None:
    failed = make_trial(2, choices=INT8, state=State.FAILED, reason="ExportError: no")
    trials = [make_trial(0, 0.0), make_trial(1, choices=INT8), failed]
    expected = "Nothing but the baseline has an accuracy yet (3 trials: 1 closed as dominated, 1 failed)"
    assert summary_line(Findings(trials)) == expected


def test_the_summary_of_nothing_says_so(make_trial: MakeTrial) -> None:
    assert summary_line(Findings([])) == "No trial has ended yet"
    assert (
        summary_line(Findings([make_trial(0, state=State.FAILED, reason="out of memory")]))
        == "The baseline failed: out of memory"
    )


def test_the_baseline_has_the_training_of_the_front(trials: list[Trial]) -> None:
    assert Findings(trials).baseline is trials[4]
    assert Findings(trials[:4]).baseline is trials[0]
    assert Findings([]).baseline is None


def test_the_pick_is_compressed(trials: list[Trial]) -> None:
    assert Findings(trials).pick is trials[6]
    assert Findings(trials[:1]).pick is None


def test_failed_are_also_those_not_verified(trials: list[Trial]) -> None:
    assert [trial.number for trial in Findings(trials).failed] == [3, 8]


def test_the_rows_go_from_accurate_to_fast(trials: list[Trial]) -> None:
    rows = front_rows(Findings(trials))
    assert [row.number for row in rows] == [4, 5, 6, 7]
    assert [row.speedup for row in rows] == pytest.approx([1, 4, 10, 20])
    assert [row.size_ratio for row in rows] == pytest.approx([1, 4, 16, 32])
    assert [row.is_baseline for row in rows] == [True, False, False, False]
    assert [row.is_pick for row in rows] == [False, False, True, False]
    assert [row.test_drop.value for row in rows if row.test_drop] == [0.0, 0.5, 0.75, 2.5]
    assert [row.artefact for row in rows] == [None, "5.onnx", "6.onnx", None]


def test_a_row_tells_what_was_executed(make_trial: MakeTrial) -> None:
    details = {"executed_int8": 17, "planned_int8": 20, "latency_quality": "low"}
    _, row = front_rows(Findings([make_trial(0, 0.0), make_trial(1, 0.5, 1.0, choices=INT8, details=details)]))
    assert row.executed_int8 == (17, 20)
    assert not row.is_latency_good


def test_there_are_no_rows_without_a_baseline(make_trial: MakeTrial) -> None:
    assert front_rows(Findings([make_trial(0, state=State.FAILED)])) == []


def predicted(trial: Trial, said: float) -> Trial:
    return replace(trial, details={**trial.details, "predicted_ms": said})


def test_how_the_search_was_screened_is_one_line(make_trial: MakeTrial) -> None:
    trials = [make_trial(0, 0.0)]
    assert screening_line(trials) == ""
    early = [make_trial(n, 1.0, 1.0, choices=INT8, fidelity=Fidelity.SHORT) for n in range(1, 31)]
    late = [make_trial(n, 1.0, float(n), choices=INT8, fidelity=Fidelity.SHORT) for n in range(31, 35)]
    trials += [predicted(trial, 2.0) for trial in early]
    assert screening_line(trials) == (
        "Screening predictor: 100.0 % mean error over the first 30; never shown as a measurement"
    )
    trials += [predicted(trial, 1.02 * trial.value("latency_ms")) for trial in late]
    assert screening_line(trials) == (
        "Screening predictor: 2.0 % mean error, rank correlation 1.00 over 4 candidates; never shown as a measurement"
    )


def test_the_line_names_each_precision_class(make_trial: MakeTrial) -> None:
    int8 = [make_trial(n, 1.0, 1.0, choices=INT8, fidelity=Fidelity.SHORT) for n in range(1, 6)]
    fp32 = [make_trial(n, 1.0, 1.0, choices={"prune/conv1": 8}, fidelity=Fidelity.SHORT) for n in range(6, 11)]
    line = screening_line([*(predicted(trial, 1.04) for trial in int8), *(predicted(trial, 1.0) for trial in fp32)])
    assert line == (
        "Screening predictor: 2.0 % mean error (fp32 0.0 %, int8 4.0 %) over the first 10; never shown as a measurement"
    )


def test_of_few_candidates_no_error_is_told(make_trial: MakeTrial) -> None:
    few = [make_trial(n, 1.0, 1.0, choices=INT8, fidelity=Fidelity.SHORT) for n in range(1, 4)]
    line = screening_line([predicted(trial, 9.0) for trial in few])
    assert line == "Screening predictor: still learning, 3 of 10 candidates"


def test_how_well_drops_were_foretold_is_one_line(make_trial: MakeTrial) -> None:
    """Eight drops 0.3 points above what was said, within the spread and the noise; two 3 points above, beyond it."""

    def foretold(number: int, error: float) -> Trial:
        trial = make_trial(number, 2.0, choices=INT8, fidelity=Fidelity.SHORT)
        mean = trial.value("accuracy_drop") - error
        return replace(trial, details={**trial.details, "predicted_drop": [mean, mean - 0.5, mean + 0.5]})

    trials = [make_trial(0, 0.0), *(foretold(n, 0.3 if n <= 8 else 3.0) for n in range(1, 11))]
    assert foretold_line(trials) == (
        "Predicted drops: 0.30 pt median error, 80% within what was said, over 10 candidates; never shown as a "
        "measurement"
    )
    assert foretold_line(trials[:10]) == ""  # of fewer it says nothing


def test_how_the_rungs_agreed_is_one_line(make_trial: MakeTrial) -> None:
    widths = [{"prune/conv1": width} for width in (48, 32, 16)]
    trials = [make_trial(n, 1.0 + n, choices=each, fidelity=Fidelity.SHORT) for n, each in enumerate(widths)]
    assert rungs_line(trials) == ""
    trials.append(make_trial(3, 0.5, choices=widths[0], parent=0))
    assert rungs_line(trials) == (
        "Rank correlation of accuracy: short with full too few to tell over 1 promoted candidate"
    )
    trials += [make_trial(4 + n, 1.0 + n, choices=each, parent=1 + n) for n, each in enumerate(widths[1:])]
    assert rungs_line(trials) == "Rank correlation of accuracy: short with full 1.00 over 3 promoted candidates"
