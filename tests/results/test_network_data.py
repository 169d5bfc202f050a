from dataclasses import replace

import pytest

from parefront.results import Run
from parefront.results.network_data import ALL_ELSE, NetworkRow, network_data
from parefront.results.network_figure import draw_network


@pytest.fixture
def profiled(run: Run) -> Run:
    """The baseline takes 1500 + 500 µs; in trial 7 the second layer is folded into the first."""
    trials = list(run.trials)
    before = [["conv1", "Conv", "fp32", 1500.0], ["fc", "Gemm", "fp32", 500.0]]
    after = [["conv1", "QLinearConv", "int8", 80.0], [None, "Reorder", "", 20.0]]
    trials[4] = replace(trials[4], details={"operators": before})
    trials[7] = replace(trials[7], details={"operators": after})
    return replace(run, trials=tuple(trials))


def test_a_network_stands_beside_its_baseline(profiled: Run) -> None:
    data = network_data(profiled, profiled.trials[7])
    assert (data.before_ms, data.after_ms) == (2.0, 0.1)
    assert data.rows == (
        NetworkRow("conv1", 64, 16, ("64→16", "int8", "folded"), 1500.0, 80.0),
        NetworkRow("fc", 10, 0, ("folded",), 500.0, 0.0),
        NetworkRow(ALL_ELSE, 0, 0, (), 0.0, 20.0),
    )


def test_the_diagram_has_channels_and_times(profiled: Run) -> None:
    figure = draw_network(network_data(profiled, profiled.trials[7]))
    assert [trace.name for trace in figure.data] == ["channels before", "channels after", "time before", "time after"]
    assert list(figure.data[1].x) == [16 / 64, 0, 0]
    assert list(figure.data[3].x) == [80.0, 0.0, 20.0]
    assert "2.000 ms → 0.100 ms" in figure.layout.xaxis2.title.text


def test_where_no_profile_was_kept_the_times_are_left_out(run: Run) -> None:
    data = network_data(run, run.trials[7])
    assert [row.after_us for row in data.rows] == [None, None]
    assert [row.kept for row in data.rows] == [16, 10]
    assert len(draw_network(data).data) == 2
