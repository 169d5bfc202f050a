import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna import Study
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from torch import nn

from parefront.hardware_profiles import SearchError
from parefront.search.foreign_study import PROPOSAL
from parefront.search.goals import parse_goals
from parefront.search.optuna_sampler import TableSampler
from parefront.search.pareto import hypervolume
from parefront.spaces import Configuration, Network, SearchSpace

DIRECTIONS = ["maximize", "minimize", "minimize"]
Objective = Callable[[optuna.Trial], tuple[float, ...]]
MakeSampler = Callable[..., TableSampler]


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def make(tiny_network: Network, tiny_space: SearchSpace) -> MakeSampler:
    return lambda seed=0, **options: TableSampler(tiny_network, tiny_space, seed=seed, **options)


@pytest.fixture
def objective(tiny_space: SearchSpace, formula: Any) -> Objective:
    """As a user writes it: it asks for every site and returns values, nothing else."""
    evaluate = formula(tiny_space)

    def evaluated(trial: optuna.Trial) -> tuple[float, ...]:
        chosen = {site.name: trial.suggest_categorical(site.name, site.choices) for site in tiny_space.sites}
        scores = evaluate(tiny_space.canonical(chosen)).scores
        return tuple(scores[name].value for name in ("accuracy", "latency_ms", "size_bytes"))

    return evaluated


def new_study(sampler: BaseSampler, storage: Any = None) -> Study:
    return optuna.create_study(
        directions=DIRECTIONS, sampler=sampler, storage=storage, study_name="s", load_if_exists=True
    )


def configurations(study: Study, space: SearchSpace) -> list[Configuration]:
    return [space.canonical(trial.params) for trial in study.trials]


def origins(study: Study) -> list[str]:
    return [trial.user_attrs[PROPOSAL]["origin"] for trial in study.trials]


def volume(study: Study, baseline: tuple[float, ...], n: int) -> float:
    """Share of the box that the first n dominate: 5 points of accuracy, 64 times faster and smaller."""
    points = [
        ((baseline[0] - t.values[0]) / 5, *(math.log(t.values[k] / baseline[k]) / math.log(64) for k in (1, 2)))
        for t in study.trials[:n]
    ]
    return hypervolume(points, (1.0, 0.0, 0.0))


def test_it_begins_with_the_baseline_and_repeats_nothing(
    make: MakeSampler, objective: Objective, tiny_space: SearchSpace
) -> None:
    study = new_study(make())
    study.optimize(objective, n_trials=35)
    found = configurations(study, tiny_space)
    assert found[0] == Configuration()
    assert len(set(found)) == 35
    assert all(trial.params == trial.params | dict(each) for trial, each in zip(study.trials, found, strict=True))
    assert origins(study)[0] == "baseline"
    assert origins(study)[1].startswith("uniform")
    assert any(" of #" in origin for origin in origins(study))


def test_the_same_seed_gives_the_same_study(make: MakeSampler, objective: Objective) -> None:
    params = []
    for seed in (1, 1, 2):
        study = new_study(make(seed))
        study.optimize(objective, n_trials=30)
        params.append([trial.params for trial in study.trials])
    assert params[0] == params[1] != params[2]


def test_it_beats_chance_clearly_without_operator_times(make: MakeSampler, objective: Objective) -> None:
    ours, chance = new_study(make()), new_study(RandomSampler(seed=0))
    ours.optimize(objective, n_trials=40)
    chance.optimize(objective, n_trials=80)
    baseline = tuple(ours.trials[0].values)
    assert volume(ours, baseline, 40) > 1.2 * volume(chance, baseline, 40) > 0
    assert volume(ours, baseline, 40) > volume(chance, baseline, 80)


def test_a_study_in_a_file_is_resumed(
    make: MakeSampler, objective: Objective, tiny_space: SearchSpace, tmp_path: Path
) -> None:
    whole = new_study(make())
    whole.optimize(objective, n_trials=14)
    for n in (6, 8):
        storage = JournalStorage(JournalFileBackend(str(tmp_path / "journal.log")))
        resumed = new_study(make(), storage)
        resumed.optimize(objective, n_trials=n)
    # While it begins, the proposals are those of one that was never stopped.
    assert configurations(resumed, tiny_space) == configurations(whole, tiny_space)
    assert origins(resumed) == origins(whole)
    resumed.optimize(objective, n_trials=6)
    assert len(set(configurations(resumed, tiny_space))) == 20


def test_trials_under_way_are_taken_into_account(
    make: MakeSampler, objective: Objective, tiny_space: SearchSpace
) -> None:
    storage = InMemoryStorage()
    workers = [new_study(make(), storage) for _ in range(2)]  # each has a sampler of its own, as in two processes
    for _ in range(3):  # while it begins, and later, when it models
        under_way = [(workers[k % 2], workers[k % 2].ask()) for k in range(8)]
        values = [objective(trial) for _, trial in under_way]
        for (worker, trial), value in zip(under_way, values, strict=True):
            worker.tell(trial, value)
    assert len(set(configurations(workers[0], tiny_space))) == 24
    # Each learnt from both: the ladder, then the sweeps, were made once between them.
    assert len(set(origins(workers[0])[:10])) == 10


def test_two_that_choose_the_same_at_the_same_moment_part(
    make: MakeSampler, objective: Objective, tiny_space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = InMemoryStorage()
    first, second = (new_study(make(), storage) for _ in range(2))
    first.optimize(objective, n_trials=3)
    earlier, later = first.ask(), second.ask()
    before = second.get_trials()
    taken = tiny_space.canonical(
        {site.name: earlier.suggest_categorical(site.name, site.choices) for site in tiny_space.sites}
    )
    # The second looks at the study before the first has noted its proposal.
    seen = iter([before])
    whole = second.get_trials
    monkeypatch.setattr(second, "get_trials", lambda **options: next(seen, None) or whole(**options))
    objective(later)
    assert tiny_space.canonical(later.params) != taken


def test_threads_share_it(make: MakeSampler, objective: Objective, tiny_space: SearchSpace) -> None:
    study = new_study(make())
    study.optimize(objective, n_trials=24, n_jobs=3)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert len(set(configurations(study, tiny_space))) == 24


def test_failed_trials_are_not_proposed_again(make: MakeSampler, objective: Objective, tiny_space: SearchSpace) -> None:
    def failing(trial: optuna.Trial) -> tuple[float, ...]:
        values = objective(trial)
        if trial.number % 3 == 1:
            raise RuntimeError("out of memory")
        return (values[0], math.inf, values[2]) if trial.number % 3 == 2 else values  # a time that is none

    study = new_study(make())
    study.optimize(failing, n_trials=30, catch=RuntimeError)
    assert len(set(configurations(study, tiny_space))) == 30


def test_the_uncompressed_network_must_not_fail(make: MakeSampler, objective: Objective) -> None:
    def failing(trial: optuna.Trial) -> tuple[float, ...]:
        objective(trial)
        raise RuntimeError("no data")

    study = new_study(make())
    study.optimize(failing, n_trials=3, catch=RuntimeError)
    with pytest.raises(
        SearchError, match="the uncompressed network must be evaluated first, but 3 trials of it failed"
    ):
        study.optimize(failing, n_trials=1, catch=RuntimeError)


def test_what_fails_before_it_asks_for_a_site_is_no_trial_of_ours(make: MakeSampler, objective: Objective) -> None:
    def failing(trial: optuna.Trial) -> tuple[float, ...]:
        if trial.number < 5:
            raise RuntimeError("no device")
        return objective(trial)

    study = new_study(make())
    study.optimize(failing, n_trials=7, catch=RuntimeError)
    assert [trial.number for trial in study.trials if PROPOSAL in trial.user_attrs] == [5, 6]
    assert study.trials[5].user_attrs[PROPOSAL]["origin"] == "baseline"


def test_enqueued_trials_are_evaluated_as_they_are(
    make: MakeSampler, objective: Objective, tiny_space: SearchSpace
) -> None:
    study = new_study(make())
    bits = {site.name: 8 for site in tiny_space.sites if site.technique == "bits"}
    study.enqueue_trial(bits)  # the others stay neutral; it ends before there is a baseline
    study.enqueue_trial({"fold/block.conv1": "on", "prune/block.conv1": 8})  # the fold makes the width moot
    study.optimize(objective, n_trials=20)
    found = configurations(study, tiny_space)
    assert found[0] == Configuration.of(bits)
    assert found[1] == Configuration.of({"fold/block.conv1": "on"})
    assert study.trials[1].params["prune/block.conv1"] == 8
    assert found[2] == Configuration()
    assert len(set(found)) == 20


def test_parameters_that_are_no_sites_are_drawn_at_random(make: MakeSampler, objective: Objective) -> None:
    rates = []

    def with_rate(trial: optuna.Trial) -> tuple[float, ...]:
        rates.append(trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True))
        return objective(trial)

    study = new_study(make())
    study.enqueue_trial({"learning_rate": 0.01})  # says nothing about sites
    study.optimize(with_rate, n_trials=10)
    assert rates[0] == 0.01
    assert len(set(rates)) == 10
    assert origins(study)[0] == "baseline"


def test_sites_that_are_not_asked_for_stay_neutral(make: MakeSampler, tiny_space: SearchSpace, formula: Any) -> None:
    evaluate = formula(tiny_space)

    def only_bits(trial: optuna.Trial) -> tuple[float, ...]:
        sites = [site for site in tiny_space.sites if site.technique == "bits"]
        scores = evaluate({site.name: trial.suggest_categorical(site.name, site.choices) for site in sites}).scores
        return scores["accuracy"].value, scores["latency_ms"].value, scores["size_bytes"].value

    study = new_study(make())
    study.optimize(only_bits, n_trials=10)
    assert len(study.trials) == 10


def test_a_small_space_is_exhausted_and_the_study_stops(
    tiny_network: Network, small_space: SearchSpace, formula: Any
) -> None:
    space = SearchSpace(small_space.sites[3:], (), small_space.widths)  # 2 x 2 bits
    damages = {site.name: {32: 0.0, 8: 0.1} for site in space.sites}
    sampler, evaluate = TableSampler(tiny_network, space, damages=damages), formula(space)

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        scores = evaluate(sampler.suggest(trial)).scores
        return scores["accuracy"].value, scores["latency_ms"].value, scores["size_bytes"].value

    study = new_study(sampler)
    study.optimize(objective, n_trials=50)
    assert len(set(configurations(study, space))) == 4
    assert len(study.trials) == 5  # the fifth was begun when it turned out that nothing is left
    study.tell(study.ask(), (80.0, 1.0, 1.0))  # asking and telling goes on at random


def test_other_objectives_and_limits(make: MakeSampler, tiny_space: SearchSpace, formula: Any) -> None:
    evaluate = formula(tiny_space)
    sampler = make(goals=parse_goals(["size", "accuracy"], ["macs<=100k"], ("",)))
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        scores = evaluate(sampler.suggest(trial)).scores
        return scores["size_bytes"].value, scores["accuracy"].value

    study.optimize(objective, n_trials=45)
    assert len(study.trials) == 45
    assert sampler._baseline_accuracy == 90


def test_a_network_is_all_that_is_needed() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.Flatten(), nn.Linear(576, 4)
    )
    sampler = TableSampler.for_network(
        model.eval(),
        torch.zeros(2, 1, 8, 8),
        objectives=["accuracy", "latency", "latency@board"],
        constraints=["latency@board<=5ms"],
    )
    study = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
    trial = study.ask()
    assert sampler.suggest(trial) == Configuration()
    assert {site.technique for site in sampler.space.sites} >= {"prune", "bits"}


def test_goals_that_a_study_cannot_have(make: MakeSampler, objective: Objective) -> None:
    study = optuna.create_study(directions=["minimize"] * 3, sampler=make())
    with pytest.raises(SearchError, match=r"directions must be maximize, minimize, minimize .* got minimize, minimize"):
        study.optimize(objective, n_trials=1)
    with pytest.raises(SearchError, match="one of the objectives must be accuracy, got latency, size: add it"):
        make(goals=parse_goals(["latency", "size"], [], ("",)))
    with pytest.raises(SearchError, match="a limit must be on macs or on one of the objectives accuracy, macs, got"):
        make(goals=parse_goals(["accuracy", "macs"], ["size<=1kB"], ("",)))


def test_an_accuracy_is_in_percent(make: MakeSampler, objective: Objective) -> None:
    def fraction(trial: optuna.Trial) -> tuple[float, ...]:
        accuracy, *costs = objective(trial)
        return (accuracy / 100, *costs)

    study = new_study(make())
    with pytest.raises(SearchError, match=r"accuracy must be in percent, got 0\.9 for the uncompressed network"):
        study.optimize(fraction, n_trials=2)
