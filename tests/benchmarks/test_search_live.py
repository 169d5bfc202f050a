"""The arithmetic by hand-made records in the box of the objectives, and real searches of the tiny task."""

from pathlib import Path

import pytest

from benchmarks import search_live
from benchmarks.search_live import (
    CUT,
    FULL,
    OTHERS,
    PLAIN,
    VARIANTS,
    describe,
    directory_of,
    is_finished,
    print_tables,
    report,
    searched,
)
from benchmarks.search_live_figures import (
    LiveRun,
    Step,
    against_others,
    against_plain,
    as_run,
    cost_until,
    curve_figures,
    steps_of,
    variant_figures,
    volumes_by_evaluation,
)
from parefront.evaluators.evaluator import Score
from parefront.hardware_profiles import HardwareProfile
from parefront.search import Fidelity, State, Trial, front_hypervolume
from parefront.spaces import Configuration
from parefront.tasks import Task

BASELINE = (0.0, 64.0, 64.0)  # drop in points, ms, bytes: 64 times less is the box's other end
NEUTRAL = Configuration()
STRUCTURE, TRAINING = {"export": 1.0, "measure": 1.0}, {"train": 10.0, "evaluate": 1.0}


def trial(
    number: int,
    width: int,
    values: tuple[float, float, float] | None,
    fidelity: Fidelity = Fidelity.SHORT,
    parent: int | None = None,
    state: State = State.COMPLETE,
    seconds: dict[str, float] | None = None,
) -> Trial:
    """A candidate by its width; without a width a baseline."""
    names = (("accuracy_drop", "pt"), ("latency_ms", "ms"), ("size_bytes", "bytes"))
    scores = {name: Score(name, value, unit, False) for (name, unit), value in zip(names, values or (), strict=False)}
    if values:
        scores["accuracy"] = Score("accuracy", 90 - values[0], "%", True)
    configuration = Configuration.of({"prune/a": width}) if width else NEUTRAL
    return Trial(number, configuration, fidelity, state, scores, parent=parent, seconds=seconds or {})


@pytest.fixture
def record() -> list[Trial]:
    """Two baselines; a third of 1/8 in both costs that lost half of the axis, a closed, a failed and a lossless one."""
    both = {**STRUCTURE, **TRAINING}
    return [
        trial(0, 0, BASELINE, seconds={"train": 1000.0}),
        trial(1, 0, BASELINE, Fidelity.FULL, seconds={"train": 1000.0}),
        trial(2, 8, (2.5, 8.0, 8.0), seconds=both),  # (1/2, -1/2, -1/2): a volume of 1/8
        trial(3, 16, (0.0, 32.0, 32.0), state=State.DOMINATED, seconds=STRUCTURE),
        trial(4, 24, None, state=State.FAILED),
        trial(5, 32, (0.0, 8.0, 8.0), seconds=both),  # (0, -1/2, -1/2): 1/4
    ]


def run_of(variant: str, seed: int, *steps: Step) -> LiveRun:
    return LiveRun(variant, seed, steps, 0, 0, ())


# --- the course of a search


def test_a_course_counts_evaluations_fine_tunes_and_seconds_without_the_baseline(record: list[Trial]) -> None:
    assert steps_of(record) == [
        Step(1, 1, 10.0, 13.0, pytest.approx(0.125)),
        Step(2, 1, 10.0, 15.0, pytest.approx(0.125)),
        Step(3, 1, 10.0, 15.0, pytest.approx(0.125)),
        Step(4, 2, 20.0, 28.0, pytest.approx(0.25)),
    ]
    run = as_run("cut", 7, record)
    assert (run.variant, run.seed, run.n_closed, run.n_failed) == ("cut", 7, 1, 1)
    assert run.end.volume == pytest.approx(front_hypervolume(record, Fidelity.SHORT))
    assert describe(run) == "cut, seed 7: 0.2500 after 4 evaluations, 1 closed, 2 fine-tunes, 20 of 28 s training"


def test_only_the_short_front_counts_and_promotions_are_no_evaluations() -> None:
    trials = [
        trial(0, 0, BASELINE),
        trial(1, 8, (0.0, 1.0, 1.0), Fidelity.CALIBRATED, seconds=STRUCTURE),
        trial(2, 16, (0.0, 8.0, 8.0), Fidelity.CALIBRATED, seconds=STRUCTURE),
        trial(3, 16, (2.5, 8.0, 8.0), parent=2, seconds=TRAINING),
    ]
    run = as_run(FULL, 0, trials)
    assert [step.volume for step in run.steps] == [0.0, 0.0, pytest.approx(0.125)]
    assert [step.n_evaluations for step in run.steps] == [1, 2, 2]
    assert run.end.n_trained == 1
    assert volumes_by_evaluation(run, 4) == [0.0, *[pytest.approx(0.125)] * 3]
    assert [(rung.lower, rung.higher, rung.n_candidates) for rung in run.rungs] == [("calibrated", "short", 1)]


def test_what_is_better_than_the_box_counts_as_on_its_face() -> None:
    trials = [trial(0, 0, BASELINE), trial(1, 8, (-1.0, 0.5, 1.0))]
    assert steps_of(trials)[-1].volume == pytest.approx(1.0)


def test_a_search_without_candidates_is_a_course_of_nothing() -> None:
    run = as_run(PLAIN, 0, [trial(0, 0, BASELINE), trial(1, 0, BASELINE, Fidelity.FULL)])
    assert (run.steps, run.end.volume) == ([], 0.0)
    assert volumes_by_evaluation(run, 2) == [0.0, 0.0]
    assert curve_figures(run) == []


def test_the_cost_of_a_hypervolume_is_that_of_the_first_step_with_it() -> None:
    steps = [Step(1, 1, 10, 12, 0.1), Step(2, 2, 20, 24, 0.3), Step(3, 3, 30, 36, 0.3)]
    assert cost_until(steps, 0.2, lambda step: step.train_s) == 20
    assert cost_until(steps, 0.3, lambda step: step.n_trained) == 2
    assert cost_until(steps, 0.31, lambda step: step.all_s) is None


def test_a_curve_has_the_rises_and_the_end() -> None:
    steps = (Step(1, 1, 10, 12, 0.1), Step(2, 2, 20, 24, 0.1), Step(3, 3, 30, 36, 0.3), Step(4, 4, 40, 48, 0.3))
    rows = curve_figures(run_of(PLAIN, 0, *steps))
    assert rows == [[1, 1, 10, 12, 0.1], [3, 3, 30, 36, 0.3], [4, 4, 40, 48, 0.3]]
    assert curve_figures(run_of(PLAIN, 0, *steps[:3])) == rows[:2]


# --- beside each other


PLAIN_0 = run_of(PLAIN, 0, Step(1, 1, 10, 20, 0.2), Step(2, 2, 30, 50, 0.38), Step(3, 3, 40, 80, 0.4))


def test_a_ratio_is_taken_at_the_final_hypervolume_of_the_plain_search() -> None:
    ours = run_of(CUT, 0, Step(1, 1, 5, 15, 0.39), Step(2, 1, 5, 20, 0.39), Step(3, 2, 16, 40, 0.5))
    found = against_plain([ours, PLAIN_0], CUT, PLAIN)
    assert found is not None
    assert (found["n_seeds"], found["n_reached"]) == (1, 1)
    assert found["training_time_ratio"] == {"mean": 0.4, "std": 0.0, "n": 1}  # 16 / 40
    assert found["all_time_ratio"]["mean"] == 0.5  # 40 / 80
    assert found["fine_tunes_ratio"]["mean"] == 0.6667  # 2 / 3
    assert found["training_time_ratio_95"]["mean"] == 0.1667  # 0.38 is reached after 5 s and after 30 s
    assert found["volume_ratio"]["mean"] == 1.25


def test_a_variant_that_ends_lower_is_compared_at_its_own_end() -> None:
    """0.19 is reached by the plain search with its first candidate; the mean of 0.5 and 0.4, the deviation 0.1 / √2."""
    lower = run_of(CUT, 0, Step(3, 1, 5, 30, 0.19))
    level = run_of(CUT, 1, Step(3, 1, 16, 30, 0.4))
    other = run_of(PLAIN, 1, *PLAIN_0.steps)
    unpaired = run_of(CUT, 2, Step(3, 1, 99, 99, 0.9))
    found = against_plain([lower, level, PLAIN_0, other, unpaired], CUT, PLAIN)
    assert found is not None
    assert (found["n_seeds"], found["n_reached"]) == (2, 1)
    assert found["training_time_ratio"] == {"mean": 0.45, "std": 0.0707, "n": 2}
    assert found["whole_training_ratio"]["mean"] == 0.2625  # 5 / 40 and 16 / 40


def test_without_a_common_hypervolume_there_is_no_ratio() -> None:
    assert against_plain([PLAIN_0], CUT, PLAIN) is None
    assert against_plain([PLAIN_0, run_of(CUT, 0, Step(1, 1, 5, 5, 0.0))], CUT, PLAIN) is None
    free = run_of(PLAIN, 0, Step(1, 0, 0.0, 0.0, 0.4))
    found = against_plain([free, run_of(CUT, 0, Step(1, 1, 5, 5, 0.4))], CUT, PLAIN)
    assert found is not None
    assert found["training_time_ratio"] is None


def test_methods_are_compared_by_the_mean_curve_at_equal_evaluations() -> None:
    runs = [
        PLAIN_0,
        run_of(PLAIN, 1, Step(1, 1, 1, 1, 0.2), Step(2, 2, 2, 2, 0.22), Step(3, 3, 3, 3, 0.24)),  # mean .2, .3, .32
        run_of("tpe", 0, Step(1, 1, 1, 1, 0.0), Step(3, 3, 3, 3, 0.25)),
        run_of("nsga2", 0, Step(3, 3, 3, 3, 0.1)),
    ]
    assert against_others(runs, PLAIN, OTHERS, 3) == {
        "best_other": "tpe",
        "volume_over_best_other": 1.28,
        "evals_to_match_best_other": 2,
        "n_evaluations": 3,
    }
    assert against_others(runs[:2], PLAIN, OTHERS, 3) is None
    assert against_others(runs[2:], PLAIN, OTHERS, 3) is None


def test_a_variant_is_told_by_its_mean_and_deviation(record: list[Trial]) -> None:
    runs = [as_run(CUT, 0, record), as_run(CUT, 1, record[:3])]
    found = variant_figures(runs, CUT, 4)
    assert found is not None
    assert found["volume_at_4"] == {"mean": 0.1875, "std": 0.0884, "n": 2}  # 1/4 and 1/8
    assert found["train_s"]["mean"] == 15.0
    assert found["n_closed"]["mean"] == 0.5
    assert found["rung_rank_correlation"] is None
    assert variant_figures(runs, PLAIN, 4) is None


def test_a_report_names_what_was_not_run(record: list[Trial], capsys: pytest.CaptureFixture[str]) -> None:
    figures = report([as_run(PLAIN, 0, record)], 4)
    assert figures["training_time_ratio"] is None
    assert figures["volume_over_best_other"] is None
    assert set(figures["variants"]) == {PLAIN}
    print_tables(figures)
    assert "against plain: cut+rungs\n  nothing" in capsys.readouterr().out


# --- real searches


def test_variants_differ_in_what_they_are_named_for() -> None:
    assert VARIANTS[FULL].settings(60, 3).n_short == 20
    assert VARIANTS[FULL].settings(2, 3).n_short == 1
    assert [VARIANTS[name].settings(60, 3).has_cut for name in (FULL, CUT, PLAIN, *OTHERS)] == [
        True,
        True,
        *[False] * 3,
    ]
    for name, variant in VARIANTS.items():
        settings = variant.settings(60, 3)
        assert (settings.n_trials, settings.n_final, settings.seed, settings.n_repeats) == (60, 0, 3, 0)
        assert not settings.has_stored_tables
        assert (settings.sampler, settings.has_ladder) == ((name, True) if name in OTHERS else ("tables", False))
        assert (settings.n_short is None) == (name != FULL)


def test_real_searches_are_kept_and_compared(
    tiny_task: Task, fast_profile: HardwareProfile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n, runs = 3, []
    for name in (FULL, PLAIN, "tpe"):
        directory = directory_of(tmp_path, name, n, 0)
        assert not is_finished(directory)
        trials = searched(tiny_task, fast_profile, VARIANTS[name].settings(n, 0), directory)
        assert is_finished(directory)
        runs.append(as_run(name, 0, trials))
    with_rungs, plain, tpe = runs
    assert [run.end.n_evaluations for run in runs] == [n, n, n]
    assert (with_rungs.end.n_trained, plain.end.n_trained, tpe.end.n_trained) == (1, n, n)
    assert all(0 < run.end.train_s < run.end.all_s for run in runs)
    assert plain.n_closed == tpe.n_closed == 0
    # All of them begin with the same uniform configurations.
    assert [trial.origin for trial in trials[2:]] == ["seed"] * n
    assert report(runs, n)["against_others"][PLAIN]["best_other"] == "tpe"

    monkeypatch.setattr(search_live, "run_search", None)  # what is finished is read, not run
    assert searched(tiny_task, fast_profile, VARIANTS["tpe"].settings(n, 0), directory) == trials
