from parefront.results.front_3d_data import front_3d_data
from parefront.results.front_3d_figure import draw_front_3d
from parefront.search.goals import parse_goals
from parefront.search.trial import Trial


def test_the_second_cost_is_the_third_axis(trials: list[Trial]) -> None:
    data = front_3d_data(trials)
    assert data.axis is not None
    assert data.axis.name == "size"
    assert data.second[6] == 62.5  # kB
    assert [name for name, _ in data.points()] == [
        "dominated or less trained",
        "front",
        "fastest within 1 pt",
        "baseline",
    ]


def test_members_stand_on_stems(trials: list[Trial]) -> None:
    figure = draw_front_3d(front_3d_data(trials))
    stems = figure.data[-1]
    assert list(stems.z) == [93.75, 91.0, None, 91.0, 91.0, None, 93.25, 91.0, None]  # 5, 7 and the pick, from 91 %


def test_two_objectives_need_no_space(trials: list[Trial]) -> None:
    figure = draw_front_3d(front_3d_data(trials, parse_goals(["accuracy", "latency"], [], ["cpu"])))
    assert "two objectives" in figure.layout.annotations[0].text
