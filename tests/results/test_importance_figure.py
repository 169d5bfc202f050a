import pytest

from parefront.results.importance import ObjectiveImportance, SiteImportance
from parefront.results.importance_figure import ImportanceData, draw_importance, importance_data, word_effect

FOUND = ObjectiveImportance(
    "accuracy",
    "pt",
    40,
    0.8,
    (SiteImportance("prune/conv<1>", 0.75, -2.25, True), SiteImportance("bits/fc", 0.25, 0.04, False)),
)


def test_the_bars_are_the_most_important_sites() -> None:
    data = importance_data(FOUND)
    assert [(bar.site, bar.percent, bar.effect) for bar in data.bars] == [
        ("prune/conv<1>", 75.0, "-2.2 pt"),
        ("bits/fc", 25.0, "0 pt"),
    ]
    assert data.bars[1].lines == (
        "bits/fc",
        "25 % of what the decisions do",
        "strongest choice beside neutral: 0 pt, not clear yet",
    )
    assert len(importance_data(FOUND, n_bars=1).bars) == 1


def test_the_bars_are_drawn_from_the_top_and_pale_where_unclear() -> None:
    figure = draw_importance(importance_data(FOUND))
    bars = figure.data[0]
    assert list(bars.x) == [75.0, 25.0]
    assert bars.marker.color[0] != bars.marker.color[1]
    assert figure.layout.yaxis.ticktext == ("prune/conv&lt;1&gt;", "bits/fc")
    assert figure.layout.yaxis.range == (1.5, -0.5)
    assert figure.layout.xaxis.range[1] > 75


def test_without_bars_the_reason_stands_in_their_place() -> None:
    data = importance_data(ObjectiveImportance("size", "%", 3, reason="3 trials tell it"))
    assert data == ImportanceData((), "3 trials tell it")
    figure = draw_importance(data)
    assert not figure.data
    assert figure.layout.annotations[0].text == "3 trials tell it"


@pytest.mark.parametrize(
    ("effect", "unit", "words"),
    [
        (-2.26, "pt", "-2.3 pt"),
        (0.34, "pt", "+0.3 pt"),
        (-0.04, "pt", "0 pt"),
        (-53.6, "%", "-54 %"),
        (0.4, "%", "0 %"),
    ],
)
def test_an_effect_in_words(effect: float, unit: str, words: str) -> None:
    assert word_effect(effect, unit) == words
