"""A sweep made up by hand, so that every number on the page can be told in advance."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from parefront.evaluators.effective_degree import EffectiveDegree
from parefront.evaluators.evaluator import Score
from parefront.evaluators.folded_point import FoldedPoint, SweepSettings, Unfolded
from parefront.evaluators.nonlinearity import Nonlinearity
from parefront.results.nonlinearity_figure import activations_data, depth_data, draw_nonlinearity
from parefront.results.nonlinearity_report import write_nonlinearity_report
from parefront.results.nonlinearity_summary import HEADINGS, budget_line, confidence, headline, rows, survivors
from parefront.spaces.fold_activations import FoldableActivations
from parefront.spaces.site import LeftAlone


def percent(name: str, value: float) -> Score:
    return Score(name, value, "%", True, value - 1.0, value + 1.0)


def point(strength: float, stay: tuple[str, ...], depth: int, accuracy: float, *, scratch: bool = True) -> FoldedPoint:
    values = {"linear_accuracy": 80.0, "accuracy": accuracy, "test_accuracy": accuracy - 0.5}
    drops = {"accuracy_drop": 94.0 - accuracy, "test_drop": 93.5 - accuracy}
    scores = {name: percent(name, value) for name, value in (values | drops).items()}
    if scratch:
        scores["scratch_accuracy"] = percent("scratch_accuracy", 90.0)
    return FoldedPoint(strength, 0, {}, stay, depth, 1000, scores, 1.0)


def study(*points: FoldedPoint, degree: int, budget: int | None = None, best: float | None = None) -> Nonlinearity:
    unfolded = Unfolded(0, percent("accuracy", 94.0), percent("test_accuracy", 93.0), (1.0,), (1.0,))
    by_seed: Mapping[int, int] = {0: degree}
    return Nonlinearity(
        "made-up",
        SweepSettings(budget=budget),
        FoldableActivations(("a", "b", "c"), (LeftAlone("fold", "last", "it <stands> before a pooling"),)),
        6,
        2000,
        (unfolded,),
        points,
        EffectiveDegree(degree, degree - 1, degree + 1, 1.0, by_seed),
        best,
    )


@pytest.fixture
def result() -> Nonlinearity:
    weak, strong = point(0.1, ("a", "b", "last"), 5, 93.2), point(2.0, ("last",), 3, 88.0)
    return study(strong, weak, FoldedPoint(9.0, 0, reason="the loss must stay finite"), degree=3)


def test_the_answer_is_one_line(result: Nonlinearity) -> None:
    assert headline(result) == "effective degree of non-linearity 3 of 4 activations: 93.2 % against 94.0 %"


def test_the_confidence_says_what_it_rests_on(result: Nonlinearity) -> None:
    assert confidence(result) == (
        "95 % interval 2 to 4 (1 seed), at most 1 pt lost on validation; depth 5 of 6 layers; "
        "the same architecture from scratch 90.0 %"
    )


def test_where_no_folded_network_is_good_enough_it_says_so() -> None:
    result = study(point(2.0, ("last",), 3, 88.0), degree=4)
    expected = "effective degree of non-linearity 4 of 4 activations: no folded network stays within 1 pt of 94.0 %"
    assert headline(result) == expected


def test_the_accuracy_is_that_of_the_best_network_with_so_few_activations() -> None:
    result = study(point(0.1, ("a", "b", "last"), 5, 93.2), point(1.0, ("a", "last"), 4, 93.6), degree=3)
    assert headline(result).endswith("3 of 4 activations: 93.6 % against 94.0 %")


def test_a_budget_is_answered() -> None:
    met = study(point(2.0, ("last",), 3, 88.0), degree=4, budget=2, best=2.0)
    assert budget_line(met) == "at most 2 activations: λ 2 leaves 1, 88.0 %"
    missed = study(point(2.0, ("a", "last"), 3, 88.0), degree=4, budget=1)
    assert budget_line(missed) == "no λ that was tried leaves at most 1 activations"
    assert budget_line(study(degree=4)) == ""


def test_rows_go_from_many_activations_to_few(result: Nonlinearity) -> None:
    first, second, failed = rows(result)
    assert first == ("0.1", "0", "3", "5", "80.0", "93.2 ± 1.0", "0.80", "92.7", "0.30", "90.0")
    assert second[:4] == ("2", "0", "1", "3")
    assert failed[2] == "failed: the loss must stay finite"
    assert {len(row) for row in rows(result)} == {len(HEADINGS)}


def test_survivors_are_counted_over_the_points_that_were_trained(result: Nonlinearity) -> None:
    assert survivors(result) == [("a", "1 of 2"), ("b", "1 of 2"), ("c", "0 of 2")]


def test_the_figures_hold_each_kind_of_network(result: Nonlinearity) -> None:
    data = activations_data(result)
    assert [series.name for series in data.series] == [
        "unfolded",
        "folded and fine-tuned",
        "same architecture from scratch",
    ]
    assert [series.positions for series in data.series] == [(4,), (1, 3), (1, 3)]
    assert data.series[1].accuracies == (88.0, 93.2)
    assert data.series[1].errors == pytest.approx((1.0, 1.0))
    assert data.degree == (2, 3, 4)
    assert data.floor == 93.0
    deep = depth_data(result)
    assert [series.positions for series in deep.series] == [(6,), (3, 5), (3, 5)]
    assert deep.degree is None


def test_without_networks_from_scratch_their_series_is_left_out() -> None:
    data = activations_data(study(point(0.1, ("a", "last"), 5, 93.2, scratch=False), degree=2))
    assert [series.name for series in data.series] == ["unfolded", "folded and fine-tuned"]
    assert len(draw_nonlinearity(data).data) == 2


def test_the_page_is_whole_and_escapes_names(result: Nonlinearity, tmp_path: Path) -> None:
    page = write_nonlinearity_report(result, tmp_path / "deep" / "n.html")
    content = page.read_text(encoding="utf-8")
    for text in (
        headline(result),
        "activations-figure",
        "depth-figure",
        "it &lt;stands&gt; before a pooling",
        "made-up",
    ):
        assert text in content
    assert "it <stands>" not in content
    assert "$" not in content.partition("<body>")[2].partition("<script")[0]
    assert [path.name for path in page.parent.iterdir()] == ["n.html"]
