import pytest

from benchmarks.search_quality_figures import (
    Kinds,
    Scores,
    curve,
    evaluations_to_reach,
    method_figures,
    overall,
    surface_figures,
    value_at,
)
from benchmarks.search_quality_runs import Run

REFERENCE = (1.0, 1.0)
KINDS = Kinds("ours", ("misled",), ("cold",), ("cold", "ladder"), ("ladder", "theirs"))


def square(area: float) -> tuple[float, float]:
    """The point that dominates so large a square of the box."""
    return 1 - area**0.5, 1 - area**0.5


def make_run(method: str, areas: list[float], seed: int = 0, head_start: float = 0.0) -> Run:
    points = [square(area) for area in areas]
    return Run("s", method, seed, points, [""] * len(points), [0.01] * len(points), len(points), "", head_start)


def flat(area: float, n: int) -> list[float]:
    return [area] * n


def test_a_curve_is_the_hypervolume_after_each_evaluation() -> None:
    # A quarter of the box; a failure; a strip of 3/4 x 1/4 of which 1/2 x 1/4 was held; outside; dominated.
    points = [(0.5, 0.5), None, (0.25, 0.75), (1.2, 0.1), (0.6, 0.8)]
    assert curve(points, REFERENCE) == pytest.approx([0.25, 0.25, 0.3125, 0.3125, 0.3125])
    assert curve([None, (2.0, 2.0)], REFERENCE) == [0.0, 0.0]


def test_a_value_is_that_after_so_many_evaluations() -> None:
    assert value_at([0.1, 0.2], 2) == 0.2
    assert value_at([0.1, 0.2], 3) is None


def test_a_target_is_reached_when_it_is_equalled() -> None:
    assert evaluations_to_reach([0.1, 0.2, 0.3], 0.2) == 2
    assert evaluations_to_reach([0.1, 0.2, 0.3], 0.4) is None


def test_the_figures_of_a_surface_by_hand() -> None:
    runs = [
        # Ours: 0.2 and 0.4 in the mean over two seeds from the first on, 0.5 from the 31st, 0.6 from the 151st.
        make_run("ours", flat(0.2, 30) + flat(0.4, 120) + flat(0.5, 50), seed=0, head_start=1.0),
        make_run("ours", flat(0.4, 30) + flat(0.6, 120) + flat(0.7, 50), seed=1, head_start=2.0),
        make_run("misled", flat(0.36, 200)),
        make_run("cold", flat(0.1, 200) + flat(0.4, 200)),
        make_run("ladder", flat(0.3, 100) + flat(0.48, 100)),
        make_run("theirs", flat(0.3, 100) + flat(0.55, 100)),
    ]
    # Somebody else once found 0.8.
    figures = surface_figures(Scores(runs, REFERENCE, [square(0.8)]), KINDS)
    assert figures["best_known"] == 0.8
    assert figures["best_off_the_shelf"] == "ladder"
    assert figures["evals_to_match_best200"] == 32.5  # the mean is 0.5 after 31; the tables took 1.5 in the mean
    assert figures["ours50_over_cold400"] == 1.25  # 0.5 over 0.4
    assert figures["best_seeded"] == "theirs"
    assert figures["gap200_over_seeded"] == pytest.approx(0.8)  # (0.8 - 0.6) over (0.8 - 0.55)
    assert figures["misled_over_best200"] == pytest.approx(0.75)  # 0.36 over 0.48


def test_what_was_not_run_has_no_figure() -> None:
    figures = surface_figures(Scores([make_run("ours", flat(0.2, 50))], REFERENCE), KINDS)
    names = ("evals_to_match_best200", "ours50_over_cold400", "gap200_over_seeded", "misled_over_best200")
    assert [figures[name] for name in names] == [None] * 4


def test_a_target_that_ours_never_reaches_has_no_number() -> None:
    runs = [make_run("ours", flat(0.2, 200)), make_run("cold", flat(0.3, 200))]
    assert surface_figures(Scores(runs, REFERENCE), KINDS)["evals_to_match_best200"] is None


def test_methods_are_listed_best_first_with_mean_and_deviation() -> None:
    runs = [make_run("a", flat(0.2, 50), 0), make_run("a", flat(0.4, 50), 1), make_run("b", flat(0.8, 50))]
    figures = method_figures(Scores(runs, REFERENCE))
    assert list(figures) == ["b", "a"]
    assert figures["a"]["hv50"] == {"mean": 0.375, "std": 0.1768, "n": 2}  # 0.25 and 0.5 of 0.8
    assert figures["a"]["hv100"] is None
    assert figures["a"]["ask_cpu_ms"] == 10.0


def test_over_all_surfaces_the_worst_counts() -> None:
    good = {
        "evals_to_match_best200": 20,
        "ours50_over_cold400": 1.2,
        "gap200_over_seeded": 0.5,
        "misled_over_best200": 1,
    }
    bad = {
        "evals_to_match_best200": 30,
        "ours50_over_cold400": 0.9,
        "gap200_over_seeded": 0.8,
        "misled_over_best200": 2,
    }
    assert overall({"a": good, "b": bad}) == {
        "n_surfaces": 2,
        "evals_to_match_best200": 30,
        "ours50_over_cold400": 0.9,
        "gap200_over_seeded": 0.8,
        "misled_over_best200": 1,
    }
    assert overall({"a": good, "b": {**bad, "gap200_over_seeded": None}})["gap200_over_seeded"] is None
