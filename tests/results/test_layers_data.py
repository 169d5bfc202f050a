from parefront.results import Run
from parefront.results.layer_decisions import DecisionCell
from parefront.results.layers_data import layers_data
from parefront.results.layers_figure import draw_layers


def test_each_technique_has_its_column(run: Run) -> None:
    data = layers_data(run, run.trials[6])
    assert data.techniques == ("prune", "bits", "fold")
    assert data.layers == ("conv1", "fc")
    unchanged = DecisionCell((), 0.0)
    assert data.cells == (
        (DecisionCell(("64→16",), 1.0), DecisionCell(("int8",), 1.0), unchanged),
        (None, unchanged, unchanged),  # no channels of the last layer can be pruned
    )


def test_a_cell_without_a_site_is_a_dot(run: Run) -> None:
    figure = draw_layers(layers_data(run, run.trials[6]))
    assert figure.data[0].text[1][0] == "·"
    assert list(figure.layout.xaxis.ticktext) == ["channels", "precision", "folded"]
