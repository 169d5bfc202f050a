from collections.abc import Callable
from dataclasses import replace

from parefront.results.ending import ending_line
from parefront.results.findings import Findings
from parefront.results.front_data import front_data
from parefront.results.hypervolume_figure import hypervolume_data
from parefront.search.trial import FROM, REMEASURED, Fidelity, State, Trial

MakeTrial = Callable[..., Trial]


def test_how_a_run_ended_is_one_line(make_trial: MakeTrial) -> None:
    trials = [
        make_trial(0, 0.0),
        make_trial(1, 1.0, details={FROM: {"run": "old", "number": 5}}),
        make_trial(2, 1.0, details={REMEASURED: 1}),
        make_trial(3, state=State.FAILED, details={REMEASURED: 1}),
    ]
    manifest = {"ended_by": "the time limit of 60 s", "cut": "1 of 2 final members by it", "from": "old"}
    assert ending_line(manifest, Findings(trials)) == (
        "Search ended by the time limit of 60 s; cut: 1 of 2 final members by it; 1 trial measured again; "
        "1 trial from old"
    )
    assert ending_line({"ended_by": "all 8 candidates"}, Findings(trials[:1])) == "Search ended by all 8 candidates"
    assert ending_line({}, Findings(trials[:1])) == ""


def test_what_was_measured_again_is_shown_once(make_trial: MakeTrial) -> None:
    trials = [
        make_trial(0, 0.0, 2.0, fidelity=Fidelity.SHORT),
        make_trial(1, 1.0, 1.0, 500_000, {"prune/a": 8}, fidelity=Fidelity.SHORT),
        make_trial(2, 1.0, 1.2, 500_000, {"prune/a": 8}, fidelity=Fidelity.SHORT, details={REMEASURED: 1}),
    ]
    data = front_data(trials)
    shown = [*data.members, *data.others, *([data.pick] if data.pick else [])]
    assert [point.number for point in shown] == [2]


def test_a_hypervolume_may_shrink_when_a_trial_is_measured_again(make_trial: MakeTrial) -> None:
    first = make_trial(1, 1.0, 1.0, 500_000, {"prune/a": 8}, fidelity=Fidelity.SHORT)
    slower = make_trial(3, 1.0, 1.2, 500_000, {"prune/a": 8}, fidelity=Fidelity.SHORT, details={REMEASURED: 1})
    # It loses more, is larger, and was put off by the first one; beside the second measurement it is faster.
    other = make_trial(2, 1.5, 1.0, 600_000, {"prune/a": 16}, fidelity=Fidelity.SHORT)
    baseline = make_trial(0, 0.0, 2.0, fidelity=Fidelity.SHORT)
    (series,) = hypervolume_data([baseline, first, other, slower]).series
    assert series.numbers[-1] == 3
    assert series.shares[-1] < series.shares[-2]
    (known,) = hypervolume_data([baseline, replace(slower, number=1, details={}), other]).series
    assert series.shares[-1] == known.shares[-1]
