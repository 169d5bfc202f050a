import dataclasses
from collections.abc import Callable

import pytest

from parefront.results import Run
from parefront.results.load import ResultsError
from parefront.results.pick import choose, knee
from parefront.search.goals import parse_goals
from parefront.search.trial import Fidelity, Trial

MakeTrial = Callable[..., Trial]

# The front of `trials`, over a baseline (#4) of 2 ms and 1 MB: #5 0.25 pt, 0.5 ms, 250 kB; #6 0.75 pt, 0.2 ms, 62.5 kB;
# #7 3 pt, 0.1 ms, 31 kB. #8 would dominate them, but failed verification.


@pytest.mark.parametrize(
    ("pick", "number"),
    [
        ("accuracy_drop<=1pt", 6),
        ("accuracy_drop<=0.5pt", 5),
        ("accuracy_drop <= 3", 7),
        ("accuracy_drop<=2.99 %", 6),
        ("size<=100kB", 7),
        ("accuracy_drop<=1pt and size<=100kB", 6),
        ("latency<=0.3ms, drop<=2", 6),
        (None, 6),
        ("fastest", 7),
        ("smallest", 7),
        ("fastest: accuracy_drop<=1pt", 6),
        ("smallest : drop<=0.5, size<=1MB", 5),
        ("5", 5),
        ("6", 6),
    ],
)
def test_a_member_is_picked(run: Run, pick: str | None, number: int) -> None:
    assert choose(run, pick).number == number


@pytest.mark.parametrize(
    ("pick", "message"),
    [
        (
            "accuracy_drop<=0.1pt",
            r"no member keeps accuracy_drop<=0\.1pt: the nearest is accuracy_drop<=0\.25pt \(by #5\)",
        ),
        ("accuracy_drop<=1pt and latency<=0.15ms", "no member keeps .*: each is kept by some, so relax one of them"),
        ("drop<=1, size<=1kB", r"no member keeps .*: the nearest is size<=31\.3kB \(by #7\)$"),
        ("energy<=1mJ", "--pick must limit what was measured, but energy was not: leave it out"),
        ("latency@board<=1ms", "--pick: what is measured must be so by one of the profiles cpu-ort-1t, "),
        ("accuracy<=1", "--pick: limit the accuracy by what it may lose, got "),
        ("best", "--pick must be knee, fastest, smallest, a trial number, or limits such as .*, got 'best': write one"),
        ("", "--pick must be knee"),
        ("fastest:", "--pick must be knee, .*, got '': write one of these"),
        ("smallest: accuracy_drop<=0.1pt", r"no member keeps accuracy_drop<=0\.1pt: the nearest is "),
        ("best: drop<=1", "--pick: a constraint reads like"),
        ("-1", "--pick must be knee"),
        ("99", "#99 has no exported file; the front's members are 5, 6, 7"),
        ("3", "#3 has no exported file"),
    ],
)
def test_what_is_no_member_is_refused(run: Run, pick: str, message: str) -> None:
    with pytest.raises(ResultsError, match=message):
        choose(run, pick)


def test_without_a_pick_the_search_s_own_limit_holds(run: Run) -> None:
    limited = {**run.manifest, "goals": parse_goals([], ["accuracy_drop<=0.5pt"], ["cpu-ort-1t"]).to_json()}
    assert choose(dataclasses.replace(run, manifest=limited), None).number == 5


def test_of_those_within_the_one_with_the_least_main_cost_is_taken(run: Run, make_trial: MakeTrial) -> None:
    trials = (
        make_trial(0, 0.0),
        make_trial(1, 0.5, 0.1, 500_000, {"bits/a": 8}),
        make_trial(2, 0.5, 0.5, 100_000, {"bits/b": 8}),
    )
    for names, number in ((["accuracy", "latency", "size"], 1), (["accuracy", "size", "latency"], 2)):
        manifest = {**run.manifest, "goals": parse_goals(names, [], ["cpu-ort-1t"]).to_json()}
        found = choose(dataclasses.replace(run, trials=trials, manifest=manifest), "accuracy_drop<=1pt")
        assert found.number == number


def test_of_two_measures_each_has_its_best(run: Run, make_trial: MakeTrial) -> None:
    quick, small = make_trial(1, 0.5, 0.1, 500_000, {"bits/a": 8}), make_trial(2, 0.5, 0.5, 100_000, {"bits/b": 8})
    both = dataclasses.replace(run, trials=(make_trial(0, 0.0), quick, small))
    assert (choose(both, "fastest").number, choose(both, "smallest").number) == (1, 2)


def test_a_member_that_failed_its_check_is_not_handed_out(run: Run) -> None:
    trials = tuple(dataclasses.replace(t, artefact="8.onnx") if t.number == 8 else t for t in run.trials)
    with pytest.raises(ResultsError, match="#8 failed its check and is not handed out: ExportError: parity is 71 %"):
        choose(dataclasses.replace(run, trials=trials), "8")


def test_without_a_compressed_member_there_is_nothing_to_pick(run: Run, make_trial: MakeTrial) -> None:
    baseline = (make_trial(0, 0.0, fidelity=Fidelity.SHORT, origin="baseline"),)
    with pytest.raises(ResultsError, match="the front must have a compressed member, but has none yet: "):
        choose(dataclasses.replace(run, trials=baseline), "knee")


def test_the_knee_is_nearest_to_the_ideal_corner(make_trial: MakeTrial) -> None:
    baseline = make_trial(0, 0.0)
    # Normalised (drop, latency, size), latency and size in logarithms: a (0, 1, 1), b (.2, .25, .25), c (1, 0, 0).
    members = [
        make_trial(1, 0.0, 1.6, 160_000, {"bits/a": 8}),
        make_trial(2, 1.0, 0.2, 20_000, {"bits/b": 8}),
        make_trial(3, 5.0, 0.1, 10_000, {"prune/a": 8}),
    ]
    assert knee(members, baseline).number == 2
    assert knee(members[:1], baseline).number == 1
