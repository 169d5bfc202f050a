from parefront.results.figures import FrontData, front_data
from parefront.search.trial import Trial


def test_each_trial_is_shown_once(trials: list[Trial]) -> None:
    data = front_data(trials)
    assert [point.number for point in data.members] == [5, 7]
    assert data.pick is not None
    assert data.pick.number == 6
    assert data.baseline is not None
    assert data.baseline.number == 4
    assert [point.number for point in data.others] == [0, 1]
    assert [point.number for point in data.closed] == [2]


def test_what_has_no_accuracy_is_shown_by_its_latency(trials: list[Trial]) -> None:
    (closed,) = front_data(trials).closed
    assert closed.accuracy is None
    assert closed.latency_ms.value == 1.8


def test_the_line_rises_with_latency(trials: list[Trial]) -> None:
    # 94 % less the drops 3, 0.75, 0.25 and 0.
    assert front_data(trials).envelope == ((0.1, 91.0), (0.2, 93.25), (0.5, 93.75), (2.0, 94.0))


def test_pointing_at_a_member_tells_its_decisions(trials: list[Trial]) -> None:
    pick = front_data(trials).pick
    assert pick is not None
    assert pick.lines[1:] == (
        "accuracy 93.25 [92.25, 94.25] %",
        "0.200 [0.198, 0.202] ms, 10.0x faster",
        "62.5 kB, 16.0x smaller",
        "int8 in 1 layer",
        "pruned: conv1 to 16",
    )


def test_without_a_baseline_there_is_nothing_to_show() -> None:
    assert front_data([]) == FrontData()
