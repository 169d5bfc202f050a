import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from parefront.evaluators.evaluator import Score
from parefront.results import Run
from parefront.results.findings import Findings
from parefront.results.table import score_column, trial_table, write_table
from parefront.search.trial import REMEASURED, State, Trial


def test_there_is_a_row_per_trial_and_units_in_the_columns(run: Run) -> None:
    table = run.table
    assert list(table.index) == list(range(9))
    assert table.loc[6, "accuracy_percent"] == 93.25
    assert table.loc[6, "accuracy_percent_low"] == 92.25
    assert table.loc[6, "accuracy_drop_pt"] == 0.75
    assert table.loc[6, "latency_ms_high"] == pytest.approx(0.202)
    assert table.loc[6, "size_bytes"] == 62_500
    assert table.loc[3, "state"] == "failed"
    assert table.loc[3, "reason"] == "TrainingError: loss is nan"
    assert table["accuracy_percent"].isna().sum() == 2
    assert table.loc[5, "parent"] == 1
    assert pd.isna(table.loc[6, "parent"])
    assert "size_bytes_low" not in table  # an exact value has no interval


def test_every_site_has_a_column_with_what_was_in_force(run: Run) -> None:
    table = run.table
    # The neutral choice is in force where nothing was decided.
    assert list(table.loc[[0, 1, 2, 6], "choice:prune/conv1"]) == [64, 64, 48, 16]
    assert list(table.loc[[0, 1, 6], "choice:bits/conv1"]) == [32, 8, 8]
    assert list(table.loc[[6, 7], "choice:fold/conv1"]) == ["off", "on"]
    assert (table["choice:bits/fc"] == 32).all()
    assert table["choice:prune/conv1"].dtype.kind == "i"


def test_it_tells_the_front_the_pick_and_the_files(run: Run) -> None:
    table = run.table
    assert list(table.index[table["is_on_front"]]) == [4, 5, 6, 7]
    assert list(table.index[table["is_pick"]]) == [6]  # the fastest within one point
    assert list(table.index[table["is_baseline"]]) == [4]
    states = dict.fromkeys(range(9), "none") | {5: "missing", 6: "damaged"}
    assert table["artefact_state"].to_dict() == states
    assert table.loc[8, "is_verified"] is False or not table.loc[8, "is_verified"]


def test_a_trial_that_was_measured_again_says_so(run: Run, trials: list[Trial]) -> None:
    again = replace(trials[6], number=9, details={REMEASURED: 6})
    failed = replace(trials[7], number=10, state=State.FAILED, scores={}, details={REMEASURED: 7})
    table = trial_table(Findings([*trials, again, failed], run.goals), run.sites, run.artefacts)
    assert list(table.index[table["is_superseded"]]) == [6]  # a failed measurement replaces nothing
    assert table.loc[9, "supersedes"] == 6


def test_the_table_of_no_trials_has_its_columns(run: Run) -> None:
    table = replace(run, trials=()).table
    assert table.empty
    assert "choice:prune/conv1" in table


def test_scores_of_other_profiles_keep_their_names() -> None:
    assert score_column(Score("latency_ms@board", 1.0, "ms", False)) == "latency_ms@board"
    assert score_column(Score("test_accuracy", 1.0, "%", True)) == "test_accuracy_percent"


def test_both_files_hold_the_whole_table(run: Run, tmp_path: Path) -> None:
    parquet, csv = write_table(run.table, tmp_path)
    assert (parquet.name, csv.name) == ("trials.parquet", "trials.csv")
    pd.testing.assert_frame_equal(pd.read_parquet(parquet), run.table)
    read = pd.read_csv(csv, index_col="number")
    assert list(read.columns) == list(run.table.columns)
    assert read.loc[6, "latency_ms"] == run.table.loc[6, "latency_ms"]
    assert math.isnan(read.loc[3, "latency_ms"])
    assert sorted(path.name for path in tmp_path.glob("trials*")) == ["trials.csv", "trials.parquet"]
