import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.tune.search import ConcurrencyLimiter, Searcher

from parefront.hardware_profiles import SearchError
from parefront.search.goals import parse_goals
from parefront.search.tune_searcher import TableSearcher
from parefront.search.workers import Workers
from parefront.spaces import Configuration, Network, SearchSpace

MakeSearcher = Callable[..., TableSearcher]
Evaluate = Callable[[Mapping[str, Any]], dict[str, float]]


@pytest.fixture
def make(tiny_network: Network, tiny_space: SearchSpace) -> MakeSearcher:
    return lambda seed=0, **options: TableSearcher(tiny_network, tiny_space, seed=seed, **options)


@pytest.fixture
def evaluate(tiny_space: SearchSpace, formula: Any) -> Evaluate:
    """As a user's trainable: the choices under `configuration` in, metrics out."""
    evaluated = formula(tiny_space)

    def metrics(config: Mapping[str, Any]) -> dict[str, float]:
        scores = evaluated(Configuration.of(config["configuration"])).scores
        names = {"accuracy": "accuracy", "latency": "latency_ms", "size": "size_bytes"}
        return {metric: scores[score].value for metric, score in names.items()}

    return metrics


def run(searcher: Searcher, evaluate: Evaluate, n: int, first: int = 0) -> list[Configuration]:
    """One trial after the other."""
    found = []
    for number in range(first, first + n):
        config = searcher.suggest(f"t{number}")
        assert isinstance(config, dict)
        searcher.on_trial_complete(f"t{number}", {**evaluate(config), "trial_id": f"t{number}", "done": True})
        found.append(Configuration.of(config["configuration"]))
    return found


def test_it_begins_with_the_baseline_repeats_nothing_and_learns(make: MakeSearcher, evaluate: Evaluate) -> None:
    searcher = make()
    found = run(searcher, evaluate, 30)
    assert found[0] == Configuration()
    assert len(set(found)) == 30
    assert [trial.number for trial in searcher._told] == list(range(30))
    origins = [trial.origin for trial in searcher._told]
    assert origins[:2] == ["baseline", "uniform prune 25%"]
    assert any(" of #" in origin for origin in origins)
    assert run(make(), evaluate, 30) == found


def test_metrics_are_named_as_the_objectives_are(make: MakeSearcher) -> None:
    assert make().metric == ["accuracy", "latency", "size"]
    assert make().mode == ["max", "min", "min"]
    assert make(goals=parse_goals(["size", "accuracy"], [], ("",))).metric == ["size", "accuracy"]


@pytest.mark.parametrize(
    ("result", "error", "reason"),
    [
        (None, True, "the trial raised an error"),
        ({"accuracy": 90.0, "latency": 1.0, "size": 10.0}, True, "the trial raised an error"),
        ({"accuracy": 90.0, "size": 10.0}, False, "latency was not reported"),
        ({"accuracy": "90", "latency": None, "size": 10.0}, False, "accuracy, latency was not reported"),
        ({"accuracy": math.nan, "latency": 1.0, "size": 10.0}, False, "reported values that are no measurement"),
        ({"accuracy": 90.0, "latency": 0.0, "size": 10.0}, False, "reported values that are no measurement"),
    ],
)
def test_whatever_is_no_measurement_is_a_failed_trial(
    make: MakeSearcher, evaluate: Evaluate, result: dict[str, Any] | None, error: bool, reason: str
) -> None:
    searcher = make()
    run(searcher, evaluate, 1)
    config = searcher.suggest("bad")
    searcher.on_trial_complete("bad", result, error)
    failed = searcher._told[1]
    assert (failed.state, failed.reason) == ("failed", reason)
    assert isinstance(config, dict)
    assert Configuration.of(config["configuration"]) not in run(searcher, evaluate, 10)
    # Tune tries it again, and it succeeds; saying so twice changes nothing.
    for _ in range(2):
        searcher.on_trial_complete("bad", {"accuracy": 89.0, "latency": 0.5, "size": 400.0})
    again = searcher._told[-1]
    assert (again.number, again.state, again.configuration) == (12, "complete", failed.configuration)
    assert again.value("accuracy_drop") == pytest.approx(90 - 89)


def test_what_ends_before_the_baseline_waits_for_it(make: MakeSearcher, evaluate: Evaluate) -> None:
    searcher = make()
    configs = {name: searcher.suggest(name) for name in "abc"}
    assert configs["a"] == {"configuration": {}}
    assert len({str(config) for config in configs.values()}) == 3
    searcher.on_trial_complete("b", evaluate(configs["b"]))  # type: ignore[arg-type]
    assert searcher._told == []
    searcher.on_trial_complete("a", error=True)
    assert searcher.suggest("d") == {"configuration": {}}  # again
    searcher.on_trial_complete("d", evaluate({"configuration": {}}))
    assert [(trial.origin, trial.state) for trial in searcher._told] == [
        ("baseline", "complete"),
        ("uniform prune 25%", "complete"),
        ("baseline", "failed"),
    ]


def test_a_baseline_that_always_fails_or_is_a_fraction_ends_it(make: MakeSearcher, evaluate: Evaluate) -> None:
    searcher = make()
    for name in "abc":
        searcher.suggest(name)
        searcher.on_trial_complete(name, error=True)
    with pytest.raises(SearchError, match="must be evaluated first, but 3 trials of it failed"):
        searcher.suggest("d")
    searcher = make()
    searcher.suggest("a")
    with pytest.raises(SearchError, match=r"accuracy must be in percent, got 0\.9 for the uncompressed network"):
        searcher.on_trial_complete("a", {"accuracy": 0.9, "latency": 1.0, "size": 10.0})


def test_goals_that_metrics_cannot_tell(make: MakeSearcher) -> None:
    with pytest.raises(SearchError, match="one of the objectives must be accuracy, got latency, size: add it"):
        make(goals=parse_goals(["latency", "size"], [], ("",)))


def test_a_saved_searcher_goes_on_as_if_it_had_not_stopped(
    make: MakeSearcher, evaluate: Evaluate, tmp_path: Path
) -> None:
    whole = make()
    run(whole, evaluate, 12)
    under_way = whole.suggest("under way")
    whole.suggest("failing")
    whole.on_trial_complete("failing", error=True)
    whole.save_to_dir(str(tmp_path), "now")
    again = make()
    again.restore_from_dir(str(tmp_path))
    for searcher in (whole, again):
        searcher.on_trial_complete("under way", evaluate(under_way))  # type: ignore[arg-type]
        searcher.on_trial_complete("failing", {"accuracy": 89.0, "latency": 0.5, "size": 400.0})
    assert run(again, evaluate, 8, first=12) == run(whole, evaluate, 8, first=12)
    assert again._told == whole._told


def test_before_the_baseline_it_can_be_saved_too(make: MakeSearcher, evaluate: Evaluate, tmp_path: Path) -> None:
    searcher = make()
    configs = [searcher.suggest(name) for name in "ab"]
    searcher.on_trial_complete("b", evaluate(configs[1]))  # type: ignore[arg-type]
    searcher.save(str(tmp_path / "state"))
    again = make()
    again.restore(str(tmp_path / "state"))
    again.on_trial_complete("a", evaluate({"configuration": {}}))
    assert [trial.origin for trial in again._told] == ["baseline", "uniform prune 25%"]


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": 2}', json.dumps({"schema": 1, "told": [{}]})])
def test_a_state_that_is_none_is_refused(make: MakeSearcher, tmp_path: Path, content: str) -> None:
    path = tmp_path / "state"
    path.write_text(content)
    with pytest.raises(SearchError, match="must be a state that this searcher saved"):
        make().restore(str(path))


def test_when_everything_was_proposed_it_says_so(
    tiny_network: Network, small_space: SearchSpace, evaluate: Evaluate
) -> None:
    space = SearchSpace(small_space.sites[3:], (), small_space.widths)  # 2 x 2 bits
    damages = {site.name: {32: 0.0, 8: 0.1} for site in space.sites}
    searcher = TableSearcher(tiny_network, space, damages=damages)
    for number in range(4):
        assert isinstance(searcher.suggest(f"t{number}"), dict)
        searcher.on_trial_complete(f"t{number}", {"accuracy": 90.0 - number, "latency": 1.0, "size": 10.0})
    assert searcher.suggest("t4") == Searcher.FINISHED


@pytest.mark.cluster
def test_tune_runs_it_and_restores_it(
    make: MakeSearcher, evaluate: Evaluate, two_workers: Workers, tmp_path: Path
) -> None:
    n_under_way = []

    class Watched(ConcurrencyLimiter):  # type: ignore[misc]  # Ray's classes are untyped
        def suggest(self, trial_id: str) -> Any:
            suggested = super().suggest(trial_id)
            n_under_way.append(len(self.live_trials))
            return suggested

    def trainable(config: dict[str, Any]) -> None:
        chosen = config["configuration"]
        metrics = evaluate(config)
        if chosen and len(chosen) == max_sites:
            raise RuntimeError("out of memory")
        tune.report({**metrics, "accuracy": math.nan} if chosen.get("bits/stem") == 8 else metrics)

    searcher = make()
    max_sites = len(searcher.space.sites)
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(search_alg=Watched(searcher, max_concurrent=2), num_samples=5),
        run_config=tune.RunConfig(name="tiny", storage_path=str(tmp_path), verbose=0),
    )
    results = tuner.fit()
    assert len(results) == 5
    assert max(n_under_way) == 2
    assert len(searcher._told) == 5  # none of them is waited for
    assert {trial.state for trial in searcher._told} == {"complete", "failed"}
    again = make()
    again.restore_from_dir(str(tmp_path / "tiny"))
    assert again._told == searcher._told
