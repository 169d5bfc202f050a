import plotly.graph_objects as go
import pytest

from parefront.results import Run
from parefront.results.dashboard_address import Selection
from parefront.results.dashboard_figures import figure_choices, further_figure, plain_figure, what_changed


def test_a_browser_is_told_only_what_changed() -> None:
    before = plain_figure(go.Figure([go.Scatter(x=[1], y=[2]), go.Scatter(x=[3], y=[4])]))
    after = plain_figure(go.Figure([go.Scatter(x=[1], y=[2]), go.Scatter(x=[3, 5], y=[4, 6])]))
    (operation,) = what_changed(before, after).to_plotly_json()["operations"]
    assert (operation["operation"], operation["location"]) == ("Assign", ["data", 1])
    assert operation["params"]["value"]["x"] == [3, 5]
    assert what_changed(before, before).to_plotly_json()["operations"] == []
    assert what_changed(None, after) is after
    assert what_changed({**before, "data": before["data"][:1]}, after) is after


@pytest.mark.parametrize("name", ["", "no such figure", "front-3d"])
def test_another_name_shows_the_first_figure(run: Run, name: str) -> None:
    assert further_figure(run, name, None).layout.yaxis.title.text == "hypervolume (% of its box)"
    assert "<strong>hypervolume</strong>" in figure_choices(Selection(run="a", figure=name))


def test_layers_are_those_of_the_chosen_trial(run: Run) -> None:
    (heat_map,) = further_figure(run, "layers", 5).data
    assert "int8" in {text for row in heat_map.text for text in row}
    assert "64→16" not in {text for row in heat_map.text for text in row}
