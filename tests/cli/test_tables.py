from dataclasses import replace
from pathlib import Path

import pytest

from parefront.cli.tables import front_records, print_beginning, print_front, print_times, with_half_width
from parefront.evaluators.evaluator import Score
from parefront.results import Run
from parefront.search.goals import DEFAULT_GOALS, Goals, parse_goals
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import Configuration


def trial(number: int, drop: float, latency_ms: float, memory_bytes: float) -> Trial:
    scores = (
        Score("accuracy", 90 - drop, "%", True, 89 - drop, 91 - drop),
        Score("accuracy_drop", drop, "pt", False),
        Score("latency_ms", latency_ms, "ms", False),
        Score("latency_ms@board", 10 * latency_ms, "ms", False),
        Score("size_bytes", 1e6 * latency_ms, "bytes", False),
        Score("macs", 5e6 * latency_ms, "MACs", False),
        Score("memory_bytes", memory_bytes, "bytes", False, memory_bytes - 1e6, memory_bytes + 1e6),
    )
    choices = {"prune/x": number} if number else {}
    by_name = {score.name: score for score in scores}
    return Trial(number, Configuration.of(choices), Fidelity.FULL, State.COMPLETE, by_name)


def a_run(goals: Goals) -> Run:
    trials = (trial(0, 0.0, 2.0, 9e6), trial(1, 0.5, 1.0, 4e6), trial(2, 2.0, 0.5, 3e6))
    manifest = {"hardware": "cpu", "profiles": [{"hardware": "cpu"}, {"hardware": "board"}], "goals": goals.to_json()}
    return Run(Path("run"), manifest, trials)


def goals(objectives: str, *limits: str) -> Goals:
    return parse_goals([objectives], limits, ["cpu", "board"])


def test_what_counts_in_the_search_has_a_column(capsys: pytest.CaptureFixture[str]) -> None:
    print_front(a_run(goals("accuracy,latency@board,memory", "accuracy_drop<=1pt")))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert "pick" in lines[3]
    head, _, *rows = (" ".join(line.split()) for line in lines[4:])
    assert head == "trial latency@board ms faster memory MB less"
    # The board takes ten times as long; 9 and 4 MB, each within 1 MB.
    assert rows == ["0 20.000 1.0x 9.00 ± 1.00 1.0x", "1 10.000 2.0x 4.00 ± 1.00 2.2x"]


def test_a_run_of_three_objectives_looks_as_ever(capsys: pytest.CaptureFixture[str]) -> None:
    print_front(a_run(goals("accuracy,latency,size")))
    head = next(line for line in capsys.readouterr().out.splitlines() if line.strip())
    assert " ".join(head.split()) == "trial accuracy % drop pt latency ms faster size smaller MACs note"


def test_macs_give_way_in_a_narrow_terminal_unless_they_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("parefront.cli.console.MIN_WIDTH", 100)
    monkeypatch.setenv("COLUMNS", "100")
    print_front(a_run(goals("accuracy,latency,size")))
    assert "MACs" not in capsys.readouterr().out
    print_front(a_run(goals("accuracy,latency,macs")))
    assert "MACs" in capsys.readouterr().out


def test_records_hold_plain_data_and_keep_the_limits() -> None:
    records = front_records(a_run(goals("accuracy,latency,memory", "accuracy_drop<=1pt")))
    assert [record["number"] for record in records] == [0, 1]
    assert records[1]["further"]["memory"]["value"] == 4e6
    assert records[1]["is_pick"] is True


def test_what_the_search_began_with_and_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(goals("accuracy,size"))
    print_beginning(run)
    assert capsys.readouterr() == ("", "")
    tables = {"observations": {"": 182}, "plan": "", "problem": "[Errno 28] No space left on device"}
    print_beginning(Run(run.directory, {**run.manifest, "tables": tables}, run.trials))
    shown = capsys.readouterr()
    assert shown.out == "Began with 182 measured candidates of earlier searches\n"
    assert shown.err == (
        "warning: not all measurements could be stored for later searches: [Errno 28] No space left on device\n"
    )


def test_half_the_width_of_an_interval() -> None:
    assert with_half_width(Score("x", 91.84, "%", True, 91.0, 92.4), 1) == "91.8 ± 0.7"
    assert with_half_width(Score("x", 91.84, "%", True), 1) == "91.8"


def test_times_say_whose_overhead_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    run = replace(a_run(DEFAULT_GOALS), manifest={"seconds": {"train": 60.0, "overhead": 30.0, "total": 120.0}})
    print_times(run)
    assert capsys.readouterr().out == "Time 2 min 00 s: train 50%, own overhead 25.0%\n"
    # Side by side, workers that wait are part of what is left.
    beside = [replace(each, details={"ended": {"wall_s": 1.0, "cpu_s": 1.0, "n_slots": 2}}) for each in run.trials]
    print_times(replace(run, trials=tuple(beside)))
    assert capsys.readouterr().out == "Time 2 min 00 s: train 50%, overhead and idle workers 25.0%\n"
