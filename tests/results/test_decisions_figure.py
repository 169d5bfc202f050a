from dataclasses import replace

import pytest

from parefront.results import Run
from parefront.results.decisions_figure import MAX_WRITTEN, DecisionsData
from parefront.results.figures import decisions_data, draw_decisions


def test_the_grid_has_layers_by_members(run: Run) -> None:
    data = decisions_data(run)
    assert data.layers == ("conv1", "fc")
    assert data.facts[0] == "conv, 3→64 channels, 1,000,000 MACs"
    assert data.members == (5, 6, 7)
    assert data.titles[1] == ("#6", "-0.8 pt", "10.0x")
    assert [cell.words for cell in data.cells[0]] == [("int8",), ("64→16", "int8"), ("64→16", "int8", "folded")]
    assert [cell.words for cell in data.cells[1]] == [(), (), ("folded",)]


def test_a_choice_shows_at_the_layers_that_it_touches(run: Run) -> None:
    sites = [
        {**site, "spans": [[], ["conv1"]]} if site["name"] == "fold/conv1" else site
        for site in run.manifest["space"]["sites"]
    ]
    data = decisions_data(replace(run, manifest={**run.manifest, "space": {"sites": sites}}))
    assert [column[2].words for column in data.cells] == [("64→16", "int8", "folded"), ()]
    assert [column[2].strength for column in data.cells] == [1.0, 0.0]


def test_the_colour_is_the_strength(run: Run) -> None:
    # Three techniques: bits alone is one third, bits and the narrowest width two, a folded layer is gone.
    figure = draw_decisions(decisions_data(run))
    assert [list(row) for row in figure.data[0].z] == [pytest.approx([1 / 3, 2 / 3, 1]), pytest.approx([0, 0, 1])]
    assert figure.data[0].text[0][1] == "64→16 · int8"


def test_many_members_are_shown_by_colour_alone(run: Run) -> None:
    data = decisions_data(run)
    n = MAX_WRITTEN + 1
    wide = replace(
        data,
        members=data.members[:1] * n,
        titles=data.titles[:1] * n,
        cells=tuple(row[:1] * n for row in data.cells),
    )
    figure = draw_decisions(wide)
    assert figure.data[0].texttemplate is None
    assert figure.layout.xaxis.ticktext[0] == "#5"


def test_an_unfinished_run_has_an_empty_grid(run: Run) -> None:
    empty = replace(run, trials=run.trials[:1])
    assert decisions_data(empty).members == ()
    assert not draw_decisions(decisions_data(empty)).data


def test_a_run_without_a_baseline_has_an_empty_grid(run: Run) -> None:
    data = decisions_data(replace(run, trials=()))
    assert data == DecisionsData(("conv1", "fc"), data.facts, (), (), ((), ()))
