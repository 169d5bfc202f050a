import dataclasses
import random
from collections.abc import Iterator

import pytest

from benchmarks.search_quality_botorch import BotorchProposer
from benchmarks.search_quality_costs import draw, synthetic_damages, synthetic_space, synthetic_trial
from benchmarks.search_quality_methods import COLD, METHODS, OFF_THE_SHELF, SEEDED, WrongTables
from benchmarks.search_quality_peers import Positions, PymooProposer
from parefront.evaluators.cost_tables import CostTables
from parefront.hardware_profiles.runtimes import OperatorTime
from parefront.search.goals import DEFAULT_GOALS
from parefront.search.proposal import Proposal, Proposer
from parefront.search.trial import State, Trial
from parefront.spaces import Configuration, SearchSpace


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return synthetic_space(3)


def drive(proposer: Proposer, space: SearchSpace, n: int) -> Iterator[Proposal]:
    """The first n proposals, each told before the next."""
    proposer.tell(synthetic_trial(space, 0, Configuration()))
    for number in range(1, n + 1):
        (proposal,) = proposer.ask(1)
        proposer.tell(synthetic_trial(space, number, proposal.configuration))
        yield proposal


def test_positions_lead_there_and_back(space: SearchSpace) -> None:
    positions = Positions(space)
    configuration = space.canonical({"prune/layer00": 48, "bits/layer02": 8})
    assert positions.configuration(positions.of(configuration)) == configuration
    beyond = positions.configuration(positions.highest + 3.4)  # rounded, and held to what there is
    assert beyond == positions.configuration(positions.highest)
    assert beyond["prune/layer00"] == 8


@pytest.mark.parametrize("is_told_floor", [False, True])
def test_pymoo_proposes_legal_configurations_once_each(space: SearchSpace, is_told_floor: bool) -> None:
    pytest.importorskip("pymoo")
    first, second = (
        [each.configuration for each in drive(make_pymoo(space, is_told_floor), space, 50)] for _ in range(2)
    )
    assert first == second
    assert len({*first, Configuration()}) == 51
    assert [space.canonical(configuration) for configuration in first] == first


def make_pymoo(space: SearchSpace, is_told_floor: bool = True, seeds: tuple[Configuration, ...] = ()) -> PymooProposer:
    return PymooProposer(space, 3, DEFAULT_GOALS, seeds=seeds, is_told_floor=is_told_floor)


def test_pymoo_begins_with_its_seeds(space: SearchSpace) -> None:
    pytest.importorskip("pymoo")
    seeds = tuple(space.canonical({"bits/layer00": 8, "prune/layer01": width}) for width in (48, 32, 16))
    proposed = [each.configuration for each in drive(make_pymoo(space, seeds=seeds), space, 3)]
    assert tuple(proposed) == seeds


def test_pymoo_takes_failed_trials(space: SearchSpace) -> None:
    pytest.importorskip("pymoo")
    proposer = make_pymoo(space)
    proposer.tell(synthetic_trial(space, 0, Configuration()))
    for number in range(1, 45):
        (proposal,) = proposer.ask(1)
        trial = synthetic_trial(space, number, proposal.configuration)
        proposer.tell(trial if number % 3 else failed(trial))


def test_botorch_begins_with_its_seeds_and_chance_and_proposes_legal_configurations(space: SearchSpace) -> None:
    pytest.importorskip("botorch")
    seeds = [space.canonical({"bits/layer00": 8})]
    proposer = BotorchProposer(space, 3, DEFAULT_GOALS, seeds=seeds, is_told_floor=True)
    proposals = list(drive(proposer, space, 22))
    assert [each.origin for each in proposals[:3]] == ["seed", "random", "random"]
    assert proposals[-1].origin == "qlognehvi"
    configurations = [each.configuration for each in proposals]
    assert len({*configurations, Configuration()}) == 23
    assert [space.canonical(configuration) for configuration in configurations] == configurations


def failed(trial: Trial) -> Trial:
    return dataclasses.replace(trial, state=State.FAILED, scores={})


def test_wrong_tables_answer_for_other_choices(space: SearchSpace) -> None:
    right = CostTables(space)
    flat = WrongTables(space, lambda choices: {})
    times = [OperatorTime(layer, "Conv", "fp32", 100.0) for layer in space.widths]
    for tables in (right, flat):
        tables.observe({}, times, 0.3, 500_000.0)
    narrow = {"prune/layer01": 8}
    assert flat.latency_ms(narrow) == flat.latency_ms({}) == pytest.approx(right.latency_ms({}))
    assert flat.size_bytes(narrow) == flat.size_bytes({})
    assert right.size_bytes(narrow) < right.size_bytes({})
    assert flat.macs(narrow) == right.macs({}) > right.macs(narrow)
    assert flat.layer_cost("layer01", narrow) == right.layer_cost("layer01", {})
    assert flat.layer_macs("layer01", narrow) == right.layer_macs("layer01", {})


def test_what_is_ours_is_no_opponent() -> None:
    assert all(not name.startswith("ours") for name in (*COLD, *OFF_THE_SHELF, *SEEDED))
    assert set(COLD) < set(OFF_THE_SHELF) < set(METHODS)
    assert "tpe + ladder" in OFF_THE_SHELF
    assert "tpe + our seeds" not in OFF_THE_SHELF
    assert {"tpe + ladder", "tpe + our seeds"} <= set(SEEDED)


def test_synthetic_configurations_are_legal_and_their_trials_the_same_each_time(space: SearchSpace) -> None:
    configuration = draw(space, random.Random(1))
    assert space.canonical(configuration) == configuration
    assert synthetic_trial(space, 4, configuration) == synthetic_trial(space, 4, configuration)
    assert synthetic_damages(space)["bits/layer00"] == {32: 0.0, 8: 1.0}
