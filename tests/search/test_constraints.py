import pytest

from parefront.evaluators.evaluator import Score
from parefront.hardware_profiles import SearchError
from parefront.search.constraints import Constraint, parse_constraint, parse_constraints
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import Configuration


@pytest.mark.parametrize(
    ("text", "name", "limit"),
    [
        ("accuracy_drop<=1pt", "accuracy", 1.0),
        ("accuracy_drop <= 0.5 %", "accuracy", 0.5),  # of accuracy, % means points
        ("drop<=2", "accuracy", 2.0),
        ("accuracy_drop<=-.25pt", "accuracy", -0.25),  # a gain
        ("latency<=5ms", "latency", 5.0),
        ("latency<5", "latency", 5.0),
        ("latency<=250us", "latency", 0.25),
        ("latency_ms<=0.002s", "latency", 2.0),
        ("latency@board<=5ms", "latency@board", 5.0),
        ("latency@cpu<=5ms", "latency", 5.0),
        ("size<=2MB", "size", 2e6),
        ("size_bytes<=100 kib", "size", 102_400.0),
        ("size<=1.5e6", "size", 1.5e6),
        ("macs<=10M", "macs", 10e6),
        ("macs<=3 GMACs", "macs", 3e9),
        ("memory<=64MiB", "memory", 64 * 2**20),
        ("energy@board<=1.5J", "energy@board", 1500.0),
    ],
)
def test_a_limit_is_read_as_people_write_it(text: str, name: str, limit: float) -> None:
    found = parse_constraint(text, ["cpu", "board"])
    assert (found.name, found.limit) == (name, pytest.approx(limit))
    assert parse_constraint(found.text, ["cpu", "board"]) == found


@pytest.mark.parametrize(
    ("constraint", "text"),
    [
        (Constraint("accuracy", 1.0), "accuracy_drop<=1pt"),
        (Constraint("latency@board", 0.25), "latency@board<=0.25ms"),
        (Constraint("size", 2e6), "size<=2MB"),
        (Constraint("size", 11_100.0), "size<=11.1kB"),
        (Constraint("size", 512.0), "size<=512"),
        (Constraint("macs", 2.5e9), "macs<=2.5G"),
        (Constraint("energy", 3.0), "energy<=3mJ"),
    ],
)
def test_a_limit_is_shown_as_it_may_be_typed(constraint: Constraint, text: str) -> None:
    assert constraint.text == text


def test_several_stand_with_commas_or_and_between_them() -> None:
    both = (Constraint("accuracy", 1.0), Constraint("size", 2e6))
    assert parse_constraints("accuracy_drop<=1pt and size<=2MB") == both
    assert parse_constraints("accuracy_drop<=1pt,size<=2MB") == both
    assert parse_constraints("size<=2MB") == both[1:]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fast", 'a constraint reads like "accuracy_drop<=1pt" or "latency<=5ms", got \'fast\': rewrite it'),
        ("latency<=", "a constraint reads like "),
        ("latency<=5ms!", "a constraint reads like "),
        ("accuracy>=90%", 'limit the accuracy by what it may lose, got .*: write "accuracy_drop<=1pt"'),
        ("latency>=5ms", "every quantity is better when lower, .* got 'latency>=5ms': use <="),
        ("latency==5ms", "use <="),
        ("latncy<=5ms", "unknown objective 'latncy'"),
        ("latency@phone<=5ms", "add --hardware phone"),
        ("macs@board<=5M", "macs is the same on every profile"),
        ("latency<=5MB", "the unit of latency must be one of ms, us, s, got 'latency<=5MB': use one"),
        ("latency<=0ms", "a limit on latency must be above 0, got 'latency<=0ms': no network keeps it"),
        ("size<=-1MB", "a limit on size must be above 0"),
    ],
)
def test_what_is_no_limit_is_refused(text: str, message: str) -> None:
    with pytest.raises(SearchError, match=message):
        parse_constraint(text, ["cpu", "board"])


def test_a_limit_is_kept_up_to_and_with_itself() -> None:
    scores = {"latency_ms": Score("latency_ms", 5.0, "ms", False)}
    trial = Trial(1, Configuration(), Fidelity.SHORT, State.COMPLETE, scores)
    assert Constraint("latency", 5.0).is_kept_by(trial)
    assert not Constraint("latency", 4.9).is_kept_by(trial)
    assert Constraint("latency", 4.9).is_kept_by(trial, slack=0.1)
    assert not Constraint("energy", 5.0).is_kept_by(trial)  # what was not measured keeps nothing
    assert Constraint("latency", 5.0).is_surely_broken_by(5.1)
    assert not Constraint("latency", 5.0).is_surely_broken_by(5.0)


def test_only_the_accuracy_needs_training() -> None:
    assert [Constraint(name, 1.0).is_structural for name in ("accuracy", "latency", "memory@x")] == [False, True, True]
