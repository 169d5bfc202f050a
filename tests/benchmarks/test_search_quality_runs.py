from pathlib import Path

import pytest

from benchmarks.search_quality import finalists, share
from benchmarks.search_quality_costs import FRONTS, ask_figures, hypervolume_figures, sphere
from benchmarks.search_quality_figures import Scores
from benchmarks.search_quality_page import cell, curves_data, draw
from benchmarks.search_quality_runs import Journal, Run, run
from parefront.search.pareto import non_dominated
from parefront.search.proposal import Proposal
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import Configuration


class Counting:
    """Stands for a surface: a trial's number is all there is to it."""

    baseline = Trial(0, Configuration(), Fidelity.SHORT, State.COMPLETE, origin="baseline")

    def trial(self, number: int, proposal: Proposal) -> Trial:
        return Trial(number, proposal.configuration, Fidelity.SHORT, State.COMPLETE, origin=proposal.origin)


class Widths:
    """Proposes one width after the other, up to a last one."""

    def __init__(self, last: int) -> None:
        self.last, self.told = last, list[int]()

    def ask(self, n: int) -> list[Proposal]:
        width = len(self.told)
        return [Proposal(Configuration.of({"prune/a": width}), "next")] if width <= self.last else []

    def tell(self, trial: Trial) -> None:
        self.told.append(trial.number)


def make_run(seed: int, n_asked: int, stopped: str = "") -> Run:
    return Run("s", "m", seed, [(0.5, 0.5, 0.5), None], ["a", "b"], [0.1, 0.2], n_asked, stopped)


def test_a_run_tells_the_baseline_first_and_each_trial_before_the_next() -> None:
    proposers = []

    def make(surface: object, seed: int) -> Widths:
        proposers.append(Widths(100))
        return proposers[-1]

    trace = run(Counting(), make, 5, 0)  # type: ignore[arg-type]
    assert proposers[0].told == [0, 1, 2, 3, 4, 5]
    assert [trial.number for trial in trace.trials] == [0, 1, 2, 3, 4, 5]
    assert len(trace.ask_cpu_s) == 5
    assert trace.stopped == ""


def test_a_method_with_nothing_more_to_propose_ends_early() -> None:
    trace = run(Counting(), lambda surface, seed: Widths(3), 10, 0)  # type: ignore[arg-type]
    assert len(trace.trials) == 4
    assert trace.stopped == "it proposes nothing more"


def test_a_method_that_takes_too_long_is_stopped() -> None:
    trace = run(Counting(), lambda surface, seed: Widths(50), 20, 0, ask_limit_s=-1.0)  # type: ignore[arg-type]
    assert len(trace.trials) == 2
    assert "proposals took" in trace.stopped


def test_a_journal_keeps_runs_and_the_last_of_a_key_counts(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    assert journal.runs() == {}
    for each in (make_run(0, 50), make_run(1, 50), make_run(0, 100)):
        journal.add(each)
    assert journal.runs() == {("s", "m", 0): make_run(0, 100), ("s", "m", 1): make_run(1, 50)}


def test_a_run_that_was_stopped_is_not_repeated() -> None:
    assert make_run(0, 100).is_enough(100)
    assert not make_run(0, 50).is_enough(100)
    assert make_run(0, 50, "its last 10 proposals took 400 s").is_enough(100)


def test_runs_of_a_method_that_has_changed_are_void(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.add(make_run(0, 50))
    journal.forget(["another"])
    assert journal.runs() == {("s", "m", 0): make_run(0, 50)}
    journal.forget(["m"])
    assert journal.runs() == {}
    journal.add(make_run(0, 100))
    assert journal.runs() == {("s", "m", 0): make_run(0, 100)}


def test_half_a_line_of_a_killed_process_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"surface": "s", "met')
    Journal(path).add(make_run(0, 50))
    assert Journal(path).runs() == {("s", "m", 0): make_run(0, 50)}


def test_the_table_has_mean_and_deviation_in_percent() -> None:
    assert cell(None) == "-"
    assert cell({"mean": 0.5, "std": 0.0, "n": 1}) == "50.0"
    assert cell({"mean": 0.5, "std": 0.0123, "n": 3}) == "50.0 ± 1.2"


def test_curves_are_shares_of_the_best_known_with_the_band_of_the_seeds() -> None:
    runs = [
        Run("s", "ours", 0, [(0.5, 0.5), (0.0, 0.0)], ["", ""], [], 2),
        Run("s", "other", 0, [(0.5, 0.5), (0.5, 0.0)], ["", ""], [], 2),
        Run("s", "other", 1, [(0.0, 0.0), None], ["", ""], [], 2),
        Run("s", "left out", 0, [None, None], ["", ""], [], 2),
    ]
    data = curves_data({"s": Scores(runs, (1.0, 1.0))}, drawn=2)
    assert data == {
        "s": {
            "ours": {"mean": [0.25, 1.0], "low": [0.25, 1.0], "high": [0.25, 1.0]},
            "other": {"mean": [0.625, 0.75], "low": [0.25, 0.5], "high": [1.0, 1.0]},
        }
    }
    assert [trace.name for trace in draw(data).data] == ["ours", "ours", "other", "other"]


@pytest.mark.parametrize("n_objectives", sorted({n for n, _ in FRONTS}))
def test_points_of_a_sphere_do_not_dominate_each_other(n_objectives: int) -> None:
    points = sphere(200, n_objectives)
    assert points.shape == (200, n_objectives)
    assert len(non_dominated([tuple(row) for row in points.tolist()])) == 200


def test_costs_are_reported_for_every_size() -> None:
    assert set(hypervolume_figures()) == {f"hypervolume_s_{d}d_{n}" for d, n in FRONTS}
    figures = ask_figures([30], n_timed=1)
    assert figures["ask_sites"] == 60
    assert {"ask_ms_30", "ask_cpu_ms_30", "ask_memory_mb_30"} < set(figures)


def test_finalists_are_ours_the_best_others_and_the_best_of_each_kind(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    shares = {
        "tpe + our seeds": 0.9,
        "gp-ordered + our seeds": 0.8,
        "nsga2 + our seeds": 0.7,
        "tpe + ladder": 0.6,
        "gp-ordered told": 0.5,
        "random cold": 0.1,
        "ours": 0.4,
        "what was once a method": 0.95,
    }
    for method, depth in shares.items():
        journal.add(Run("plain", method, 0, [(1 - depth, -depth, -depth)], [""], [0.1], 1))
    assert finalists(journal, "plain") == [
        "ours",
        "ours-flat-tables",
        "ours-shuffled-tables",
        "tpe + our seeds",
        "gp-ordered + our seeds",
        "nsga2 + our seeds",
        "tpe + ladder",
        "gp-ordered told",
    ]


def test_cold_methods_have_all_evaluations_and_others_half() -> None:
    assert [share(name, 400) for name in ("gp-ordered told", "random cold", "tpe + ladder", "ours")] == [
        400,
        400,
        200,
        200,
    ]
