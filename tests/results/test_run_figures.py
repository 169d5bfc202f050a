from dataclasses import replace

import plotly.graph_objects as go
import pytest

from parefront.results import ResultsError, Run

INJECTION = "<img src=x onerror=alert(1)>"


def test_every_figure_can_be_had_by_name(run: Run) -> None:
    assert len(run.figures) == len(list(run.figures)) == 16
    assert {"front", "front-3d", "hypervolume-time", "network", "importance-size"} <= set(run.figures)
    for name, figure in run.figures.items():
        assert isinstance(figure, go.Figure), name
        assert figure.layout.height, name


def test_every_figure_says_what_a_new_run_lacks(run: Run) -> None:
    new = Run(run.directory, {"schema": 1, "task": "digits"}, ())
    for name in set(new.figures) - {"layers", "network"}:  # these need a trial to show
        figure = new.figures[name]
        assert not figure.data, name
        assert figure.layout.annotations[0].text, name
    with pytest.raises(ResultsError, match="must hold an evaluated baseline"):
        new.figures["network"]


def test_names_cannot_bring_markup_into_any_figure(run: Run) -> None:
    def renamed(text: str) -> str:
        return text.replace("conv1", INJECTION)

    layers = [{**layer, "name": renamed(layer["name"])} for layer in run.manifest["layers"]]
    sites = [
        {**site, "name": renamed(site["name"]), "layers": list(map(renamed, site["layers"]))}
        for site in run.manifest["space"]["sites"]
    ]
    manifest = {**run.manifest, "layers": layers, "space": {"sites": sites}}
    trials = tuple(
        replace(
            trial,
            origin=INJECTION,
            seconds={INJECTION: 1.0},
            configuration=type(trial.configuration).of({renamed(name): c for name, c in trial.configuration.items()}),
        )
        for trial in run.trials
    )
    for name, figure in replace(run, manifest=manifest, trials=trials).figures.items():
        assert "<img" not in figure.to_json().encode().decode("unicode_escape"), name


def test_a_figure_of_another_trial(run: Run) -> None:
    assert run.figures.of_trial("layers", 5).data[0].text[0][1] == "int8"
    with pytest.raises(ResultsError, match="one of 0 to 8, got 99"):
        run.figures.of_trial("network", 99)


def test_an_unknown_figure_is_named(run: Run) -> None:
    with pytest.raises(KeyError, match="frnt"):
        run.figures["frnt"]
    with pytest.raises(KeyError, match="front"):
        run.figures.of_trial("front", 5)
