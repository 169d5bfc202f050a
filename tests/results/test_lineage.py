from collections.abc import Callable

import pytest

from parefront.results.lineage import ChainEnd, Change, changes_between, lineage, parents_of
from parefront.search.trial import State, Trial
from parefront.spaces.configuration import Configuration
from parefront.spaces.site import Site

MakeTrial = Callable[..., Trial]
SITES = (
    Site("bits/fc", ("fc",), (32, 8)),
    Site("prune/conv1", ("conv1",), (64, 48, 32)),
)


@pytest.fixture
def family(make_trial: MakeTrial) -> list[Trial]:
    """A seed, a shift of it, a mutation of that, its promotion."""
    return [
        make_trial(0, 0.0, origin="baseline"),
        make_trial(12, 2.0, choices={"prune/conv1": 48}, origin="sweep for latency at 2.5 pt"),
        make_trial(31, 2.5, choices={"prune/conv1": 32}, origin="shift of #12"),
        make_trial(40, 2.7, choices={"prune/conv1": 32, "bits/fc": 8}, origin="mutation of #31"),
        make_trial(50, 1.0, choices={"prune/conv1": 32, "bits/fc": 8}, origin="promoted #40", parent=40),
    ]


def test_a_chain_leads_back_to_its_seed(family: list[Trial]) -> None:
    found = lineage(family[3], family, SITES)
    assert found.text == "mutation of #31, itself a shift of #12, a sweep for latency at 2.5 pt"
    assert [step.number for step in found.steps] == [40, 31, 12]
    assert found.end is ChainEnd.SEED
    assert found.changes_text == "against #31: bits/fc 32 → 8"


def test_each_step_reads_as_a_sentence(make_trial: MakeTrial) -> None:
    trials = [
        make_trial(8, 3.0, origin="tables' best for size"),
        make_trial(9, 3.0, origin="exchange of #8"),
        make_trial(10, 3.0, origin="promoted #9", parent=9),
        make_trial(11, 3.0, origin="promoted #10", parent=10),
        make_trial(12, 3.0, origin=""),
    ]
    assert lineage(trials[3], trials).text == (
        "promoted from #10, itself promoted from #9, itself an exchange of #8, the tables' best for size"
    )
    assert lineage(trials[4], trials).text == "unknown"


def test_a_promotion_tells_whose(family: list[Trial]) -> None:
    found = lineage(family[4], family, SITES)
    assert found.number == 50
    assert found.text.startswith("promoted from #40, itself a mutation of #31, itself a shift of #12, ")
    assert found.steps[0].changes == ()  # the same network, trained for longer
    assert found.changed_step is not None
    assert found.changed_step.number == 40


def test_a_seed_is_its_own_reason(family: list[Trial]) -> None:
    found = lineage(family[1], family, SITES)
    assert (found.text, found.changes_text) == ("sweep for latency at 2.5 pt", "")
    assert found.changed_step is None


@pytest.mark.parametrize(
    ("origin", "details", "parents"),
    [
        ("crossover of #12 and #9", {}, (12, 9)),
        ("crossover of #12", {"parents": [12, 9]}, (12, 9)),
        ("crossover of #12", {"parents": [12, 12]}, (12,)),
        ("crossover of #12", {"parents": []}, ()),
        ("crossover of #12", {"parents": "12"}, (12,)),
        ("crossover of #12", {"parents": [True, None, "9", 12]}, (12,)),
        ("tpe", {}, ()),
    ],
)
def test_recorded_parents_count_before_the_text(
    make_trial: MakeTrial, origin: str, details: dict[str, object], parents: tuple[int, ...]
) -> None:
    assert parents_of(make_trial(20, 1.0, origin=origin, details=details)) == parents


def test_the_second_parent_is_named_once(make_trial: MakeTrial) -> None:
    recorded = make_trial(20, 1.0, origin="crossover of #12", details={"parents": [12, 9]})
    assert lineage(recorded, []).steps[0].text == "crossover of #12 and #9"
    written = make_trial(20, 1.0, origin="crossover of #12 and #9")
    assert lineage(written, []).steps[0].text == "crossover of #12 and #9"


def test_what_is_not_in_the_record_ends_the_chain(family: list[Trial]) -> None:
    found = lineage(family[3], family[3:], SITES)
    assert found.end is ChainEnd.MISSING
    assert found.text == "mutation of #31; #31 is not in the record"
    assert found.changes_text == ""


def test_a_failed_ancestor_is_told(family: list[Trial], make_trial: MakeTrial) -> None:
    failed = make_trial(31, origin="shift of #12", state=State.FAILED, choices={"prune/conv1": 32})
    found = lineage(family[3], [*family[:2], failed], SITES)
    assert found.text == "mutation of #31, itself a shift of #12 (which failed), a sweep for latency at 2.5 pt"


def test_a_cycle_in_a_damaged_record_ends_the_chain(make_trial: MakeTrial) -> None:
    trials = [make_trial(1, 1.0, origin="shift of #2"), make_trial(2, 1.0, origin="mutation of #1")]
    found = lineage(trials[0], trials)
    assert found.end is ChainEnd.CYCLE
    assert found.text == "shift of #2, itself a mutation of #1; #1 is its own ancestor: the record is damaged"
    own = make_trial(3, 1.0, origin="mutation of #3")
    assert lineage(own, [own]).end is ChainEnd.CYCLE


def test_a_long_chain_is_counted_and_needs_no_recursion(make_trial: MakeTrial) -> None:
    trials = [make_trial(0, 1.0, origin="uniform prune 25%")]
    trials += [make_trial(number, 1.0, origin=f"mutation of #{number - 1}") for number in range(1, 5001)]
    found = lineage(trials[-1], trials)
    assert len(found.steps) == 5001
    # Named are #5000 and the three before it; from #4997 to the seed #0 it is 4,997 steps.
    assert found.text == (
        "mutation of #4999, itself a mutation of #4998, itself a mutation of #4997, itself a mutation of #4996, "
        "and 4997 steps further back uniform prune 25% (#0)"
    )


def test_changes_are_sorted_and_name_both_choices() -> None:
    before = Configuration.of({"prune/conv1": 48, "rank/x": "svd:8"})
    after = Configuration.of({"prune/conv1": 32, "bits/fc": 8})
    changes = changes_between(before, after, {"bits/fc": 32})
    assert changes == (Change("bits/fc", 32, 8), Change("prune/conv1", 48, 32), Change("rank/x", "svd:8", None))
    assert changes[1].text == "prune/conv1 48 → 32"
    assert changes[2].text == "rank/x svd:8 → unchanged"


def test_many_changes_are_counted(make_trial: MakeTrial) -> None:
    trials = [
        make_trial(1, 1.0, origin="random"),
        make_trial(2, 1.0, choices={f"bits/l{i}": 8 for i in range(9)}, origin="crossover of #1"),
    ]
    text = lineage(trials[1], trials, [Site(f"bits/l{i}", (f"l{i}",), (32, 8)) for i in range(9)]).changes_text
    assert text.startswith("against #1: bits/l0 32 → 8, bits/l1 32 → 8, ")
    assert text.endswith("bits/l5 32 → 8, 3 more")


def test_as_json(family: list[Trial]) -> None:
    data = lineage(family[4], family, SITES).to_json()
    assert data["end"] == "seed"
    assert [step["number"] for step in data["chain"]] == [50, 40, 31, 12]
    assert data["chain"][1] == {
        "number": 40,
        "origin": "mutation of #31",
        "parents": [31],
        "is_promotion": False,
        "state": "complete",
        "changes": [{"site": "bits/fc", "from": 32, "to": 8}],
    }
