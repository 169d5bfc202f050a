from collections.abc import Callable
from pathlib import Path

import pytest

from parefront.cli.tables import front_records
from parefront.cli.why import print_why, why_json
from parefront.evaluators.evaluator import Score
from parefront.results import Run
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces.configuration import Configuration
from parefront.spaces.site import Choice

MakeRun = Callable[[int], Run]
WIDTHS = tuple(range(64, 34, -1))


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """A run of n trials: the narrower, the faster, and a tenth of a point lost per channel."""

    def make(n: int) -> Run:
        trials = []
        for i in range(n):
            scores = {
                "accuracy": Score("accuracy", 90 - i / 10, "%", True),
                "accuracy_drop": Score("accuracy_drop", i / 10, "pt", False),
                "latency_ms": Score("latency_ms", 2 * 0.9**i, "ms", False),
                "size_bytes": Score("size_bytes", 1e6 * 0.9**i, "bytes", False),
            }
            choices: dict[str, Choice] = {"prune/[a]": WIDTHS[i]} if i else {}
            origin = f"mutation of #{i - 1}" if i > 1 else "sweep for size" if i else "baseline"
            trials.append(Trial(i, Configuration.of(choices), Fidelity.SHORT, State.COMPLETE, scores, origin=origin))
        sites = [{"name": "prune/[a]", "layers": ["[a]"], "choices": list(WIDTHS)}]
        return Run(tmp_path, {"space": {"sites": sites}}, tuple(trials))

    return make


def test_members_and_sites_are_printed(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    print_why(make_run(25))
    output = capsys.readouterr().out
    assert "#3 mutation of #2, itself a mutation of #1, a sweep for size\n" in output
    assert "against #2: prune/[a] 62 → 61" in output
    # 29 steps of a tenth of a point, and 0.9 to the 29th of the latency, which is 5 %: 95 % less.
    for words in ("accuracy", "latency", "size", "prune/[a]", "100%", "-2.9 pt", "-95 %"):
        assert words in output


def test_too_few_trials_are_said_to_be_so(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    print_why(make_run(3))
    output = capsys.readouterr().out
    assert "latency: nothing can be said: 3 trials tell it; at least 20 are needed" in output
    assert "share" not in output


def test_a_run_without_trials_prints_nothing(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    print_why(make_run(0))
    assert capsys.readouterr().out == ""


def test_json_carries_the_chain_per_row_and_the_importances_once(make_run: MakeRun) -> None:
    run = make_run(25)
    rows = front_records(run)
    by_number = {row["number"]: row for row in rows}
    assert by_number[0]["why"]["text"] == "baseline"
    assert [step["number"] for step in by_number[4]["why"]["chain"]] == [4, 3, 2, 1]
    found = why_json(run)
    assert list(found) == ["accuracy", "latency", "size"]
    assert found["latency"]["sites"][0]["site"] == "prune/[a]"
