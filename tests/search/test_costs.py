import dataclasses
import math
import random
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

import pytest

from parefront.evaluators import CostTables
from parefront.evaluators.cost_tables import LayerCost
from parefront.evaluators.evaluator import Score
from parefront.search.costs import CostModel
from parefront.search.goals import DEFAULT_GOALS, Goals, parse_goals
from parefront.search.moves import random_configuration
from parefront.search.proposal import Proposal
from parefront.search.trial import State, Trial
from parefront.spaces import Choice, Configuration, SearchSpace

Evaluated = Callable[[SearchSpace, Proposal, int], Trial]


@pytest.fixture
def trials(small_space: SearchSpace, evaluated: Evaluated) -> list[Trial]:
    """The baseline and sixty others, with operator times, MACs, and an energy that is √(latency · size)."""
    rng = random.Random(0)
    configurations = [Configuration(), *(random_configuration(small_space, rng) for _ in range(60))]
    found = []
    for number, configuration in enumerate(configurations):
        trial = evaluated(small_space, Proposal(configuration, ""), number)
        energy = (trial.value("latency_ms") * trial.value("size_bytes")) ** 0.5
        macs = float(CostTables(small_space).macs(configuration))
        more = {"energy_mj": Score("energy_mj", energy, "mJ", False), "macs": Score("macs", macs, "MACs", False)}
        found.append(dataclasses.replace(trial, scores={**trial.scores, **more}))
    return found


def model(space: SearchSpace, trials: list[Trial], goals: Goals = DEFAULT_GOALS) -> CostModel:
    costs = CostModel(space, CostTables(space), goals)
    for trial in trials:
        costs.observe(trial)
    return costs


def blind(trial: Trial) -> Trial:
    """The same without operator times."""
    return dataclasses.replace(trial, details={})


def test_macs_are_exact_before_anything_is_measured(small_space: SearchSpace) -> None:
    costs = model(small_space, [], parse_goals(["accuracy", "macs", "size"], [], ("",)))
    assert not costs.n_observed
    # 4 * 16 * 9 + 16 * 8 * 9 = 1728 weights at 64 positions.
    assert costs.values(Configuration.of({"prune/a": 16})) == {"macs": 1728 * 64}


@pytest.mark.parametrize("has_operators", [True, False])
def test_scores_are_predicted_from_what_was_measured(
    small_space: SearchSpace, trials: list[Trial], has_operators: bool
) -> None:
    goals = parse_goals(["accuracy", "latency", "size", "energy"], [], ("",))
    seen = trials if has_operators else [blind(trial) for trial in trials]
    costs = model(small_space, seen[:21], goals)
    assert costs.n_observed == 21
    for name, tolerance in (("latency_ms", 0.12), ("size_bytes", 0.1), ("energy_mj", 0.12)):
        errors = [abs(costs.values(t.configuration)[name] / t.value(name) - 1) for t in trials[21:]]
        assert sum(errors) / len(errors) < tolerance


@pytest.mark.parametrize("has_operators", [True, False])
def test_the_shares_of_the_baselines_layers_are_almost_the_whole(
    small_space: SearchSpace, trials: list[Trial], has_operators: bool
) -> None:
    seen = trials if has_operators else [blind(trial) for trial in trials]
    costs = model(small_space, seen)
    for position in range(2):
        assert 0.6 < sum(costs.shares(layer, {})[position] for layer in ("a", "b")) < 1.1
    # A fold takes the second layer in.
    assert costs.shares("b", {"fold/a": "on"}) == (0.0, 0.0)


def test_a_score_of_any_kind_alone_is_enough(small_space: SearchSpace, trials: list[Trial]) -> None:
    """A study that reports nothing but an energy."""
    goals = parse_goals(["accuracy", "energy"], [], ("",))
    only = [
        dataclasses.replace(blind(trial), scores={name: trial.scores[name] for name in ("accuracy_drop", "energy_mj")})
        for trial in trials
    ]
    costs = model(small_space, only[:21], goals)
    errors = [abs(costs.values(t.configuration)["energy_mj"] / t.value("energy_mj") - 1) for t in only[21:]]
    assert sum(errors) / len(errors) < 0.12


class Reversed(CostTables):
    """Holds the widest layers for the narrowest."""

    def layers(self, choices: Mapping[str, Choice]) -> Sequence[LayerCost]:
        width = int(choices.get("prune/a", 32))
        return super().layers({**choices, "prune/a": 40 - width})


def test_tables_that_mislead_are_not_believed_for_long(small_space: SearchSpace, trials: list[Trial]) -> None:
    costs = CostModel(small_space, Reversed(small_space), DEFAULT_GOALS)
    by_tables, found = [], []
    for trial in {trial.configuration: trial for trial in trials}.values():  # as in a search, none of them twice
        if costs.n_observed > 16:
            measured, values = trial.value("latency_ms"), costs.values(trial.configuration)
            by_tables.append(abs(math.log(costs.main.latency_ms(trial.configuration) / measured)))
            found.append(abs(math.log(values["latency_ms"] / measured)))
        costs.observe(trial)
    assert fmean(found) < 0.6 * fmean(by_tables)
    unknown = Configuration.of({"bits/a": 8, "rank/b": "spatial:8"})
    assert costs.doubt("latency_ms", unknown) == 0  # what was never timed is no matter


def test_a_score_of_nothing_is_no_error(small_space: SearchSpace, trials: list[Trial]) -> None:
    nothing = dataclasses.replace(
        trials[1], scores={**trials[1].scores, "size_bytes": Score("size_bytes", 0.0, "bytes", False)}
    )
    costs = model(small_space, [trials[0], nothing, *trials[2:8]])
    assert costs.n_observed == 8


def test_each_profile_has_tables_of_its_own(small_space: SearchSpace, trials: list[Trial]) -> None:
    """The board takes three times as long, by its own operator times."""
    goals = parse_goals(["accuracy", "latency", "latency@board"], [], ("", "board"))
    seen = []
    for trial in trials:
        latency = trial.scores["latency_ms"]
        slow = Score("latency_ms@board", 3 * latency.value, "ms", False)
        rows = [[layer, kind, precision, 3 * us] for layer, kind, precision, us in trial.details["operators"]]
        details = {**trial.details, "operators@board": rows}
        seen.append(dataclasses.replace(trial, scores={**trial.scores, slow.name: slow}, details=details))
    costs = model(small_space, seen, goals)
    for trial in seen[:10]:
        values = costs.values(trial.configuration)
        assert values["latency_ms@board"] == pytest.approx(3 * values["latency_ms"], rel=0.02)


def test_failures_and_promotions_teach_nothing(small_space: SearchSpace, trials: list[Trial]) -> None:
    costs = model(small_space, [])
    costs.observe(dataclasses.replace(trials[0], state=State.FAILED))
    costs.observe(dataclasses.replace(trials[1], parent=0))
    costs.observe(dataclasses.replace(trials[2], scores={}))
    assert not costs.n_observed


def test_operators_of_a_kind_that_was_never_timed_are_doubted(small_space: SearchSpace, trials: list[Trial]) -> None:
    costs = model(small_space, trials[:1])
    assert costs.doubt("latency_ms", Configuration()) == 0
    # 3 x 3 convolutions in float were timed, in the baseline, 1 x 3 ones and those in int8 were not.
    some, more = ({"bits/a": 8}, {"bits/a": 8, "rank/b": "spatial:8"})
    assert 0 < costs.doubt("latency_ms", Configuration.of(some)) < costs.doubt("latency_ms", Configuration.of(more))
    assert costs.doubt("size_bytes", Configuration.of(more)) == 0
    narrower = Configuration.of({"prune/a": 16})
    assert costs.doubt("latency_ms", narrower) == 0


def test_shares_are_worked_out_anew_when_there_is_a_tenth_more_to_know(
    small_space: SearchSpace, trials: list[Trial]
) -> None:
    # With 17 they are worked out, again with 1.1 * 17 = 18.7, which is 19, and with 1.1 * 19 = 20.9, which is 21.
    costs = model(small_space, trials[:19])
    assert costs.n_shared == 19
    costs.observe(trials[19])
    assert costs.n_shared == 19
    costs.observe(trials[20])
    assert costs.n_shared == 21
