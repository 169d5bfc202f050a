import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from parefront.evaluators import CostTables
from parefront.search.foreign_study import PROPOSAL, ForeignStudy
from parefront.search.goals import DEFAULT_GOALS, parse_goals
from parefront.search.proposal import Proposal
from parefront.search.trial import Fidelity, State
from parefront.spaces import Choice, Configuration, SearchSpace


@pytest.fixture
def reader(small_space: SearchSpace) -> ForeignStudy:
    return ForeignStudy(small_space, DEFAULT_GOALS)


def frozen(
    space: SearchSpace, values: list[float] | None, choices: dict[str, Choice], **attributes: object
) -> FrozenTrial:
    params = {site.name: choices.get(site.name, site.neutral) for site in space.sites}
    return create_trial(
        state=TrialState.COMPLETE if values else TrialState.FAIL,
        values=values,
        params=params,
        distributions={site.name: CategoricalDistribution(site.choices) for site in space.sites},
        user_attrs=dict(attributes),
    )


def test_values_become_scores(reader: ForeignStudy, small_space: SearchSpace) -> None:
    note = reader.noted(Proposal(Configuration.of({"bits/a": 8}), "mutation of #3", {"parents": [3]}))
    trial = reader.trial(frozen(small_space, [88.5, 2.0, 4000.0], {"bits/a": 8}, **{PROPOSAL: note}), 90.0)
    assert trial.configuration == Configuration.of({"bits/a": 8})
    assert (trial.state, trial.fidelity) == (State.COMPLETE, Fidelity.SHORT)
    assert {name: score.value for name, score in trial.scores.items()} == {
        "accuracy": 88.5,
        "accuracy_drop": 1.5,
        "latency_ms": 2.0,
        "size_bytes": 4000.0,
        "macs": (4 * 32 + 32 * 8) * 9 * 64,  # weights at 64 positions
    }
    assert (trial.origin, trial.details["parents"]) == ("mutation of #3", [3])


def test_what_was_evaluated_is_canonical(reader: ForeignStudy, small_space: SearchSpace) -> None:
    proposal = reader.proposal(frozen(small_space, [80.0, 1.0, 1.0], {"fold/a": "on", "prune/a": 8}))
    assert proposal is not None
    assert proposal.configuration == Configuration.of({"fold/a": "on"})
    assert proposal.origin == "enqueued"


@pytest.mark.parametrize("values", [None, [80.0, 0.0, 1.0], [80.0, 1.0, float("inf")], [float("-inf"), 1.0, 1.0]])
def test_values_that_are_no_measurement_are_a_failure(
    reader: ForeignStudy, small_space: SearchSpace, values: list[float] | None
) -> None:
    trial = reader.trial(frozen(small_space, values, {"bits/a": 8}), 90.0)
    assert trial.state is State.FAILED
    assert not trial.scores
    assert "no measurement" in trial.reason


def test_operator_times_are_learnt_from_beside_a_latency_and_a_size(
    reader: ForeignStudy, small_space: SearchSpace
) -> None:
    rows = [["a", "Conv", "fp32", 10.0], ["b", "Conv", "fp32", 20.0]]
    trial = reader.trial(frozen(small_space, [90.0, 0.03, 15_000.0], {}, operators=rows), 90.0)
    assert trial.details["operators"] == rows
    sizes = ForeignStudy(small_space, parse_goals(["accuracy", "size"], [], ("",)))
    assert "operators" not in sizes.trial(frozen(small_space, [90.0, 15_000.0], {}, operators=rows), 90.0).details


def test_macs_are_those_of_the_tables(small_space: SearchSpace) -> None:
    reader = ForeignStudy(small_space, parse_goals(["accuracy", "macs"], [], ("",)))
    choices: dict[str, Choice] = {"prune/a": 16}
    trial = reader.trial(frozen(small_space, [80.0, 1234.0], choices), 90.0)
    assert trial.value("macs") == 1234  # what the objective says counts
    other = ForeignStudy(small_space, parse_goals(["accuracy", "size"], ["macs<=1M"], ("",)))
    assert other.trial(frozen(small_space, [80.0, 1.0], choices), 90.0).value("macs") == CostTables(small_space).macs(
        choices
    )
