"""A run directory of any number of trials, made in seconds, to time what reads runs. No score in it was measured."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parefront.evaluators.evaluator import Score
from parefront.search.goals import DEFAULT_GOALS
from parefront.search.journal import Journal
from parefront.search.run_directory import RunDirectory
from parefront.search.study_form import StudyForm
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import Configuration, SearchSpace
from parefront.spaces.site import Choice, Site

N_LAYERS, N_FINALS = 20, 8
BASELINE_MS, BASELINE_BYTES, BASELINE_ACCURACY = 2.0, 1_000_000, 95.0
_WIDTHS: tuple[Choice, ...] = tuple(range(64, 0, -8))


def sites() -> tuple[Site, ...]:
    """Widths and bits of twenty layers, and ten folds: fifty sites."""
    layers = [f"stage{i // 4}.block{i % 4}.conv" for i in range(N_LAYERS)]
    widths = [Site(f"prune/{layer}", (layer,), _WIDTHS) for layer in layers]
    bits = [Site(f"bits/{layer}", (layer,), (32, 8)) for layer in layers]
    folds = [Site(f"fold/{layer}", (layer,), ("off", "on")) for layer in layers[::2]]
    return (*folds, *widths, *bits)


def synthetic_trials(n_trials: int, seed: int = 0) -> list[Trial]:
    """Two baselines, candidates of which half are closed and a few fail, and final members at the end."""
    generator = random.Random(seed)
    n_finals = min(N_FINALS, max(0, n_trials - 2) // 2)
    trials = [_complete(0, Configuration(), Fidelity.SHORT, 0.0, generator, "baseline")]
    trials.append(_complete(1, Configuration(), Fidelity.FULL, 0.0, generator, "baseline, full fine-tune"))
    while len(trials) < n_trials - n_finals:
        trials.append(_candidate(len(trials), generator))
    completed = [trial for trial in trials if trial.state is State.COMPLETE and trial.configuration]
    promising = sorted(completed, key=lambda trial: trial.value("accuracy_drop") + trial.value("latency_ms"))
    for parent in promising[: n_trials - len(trials)]:
        number = len(trials)
        origin, drop = f"promoted #{parent.number}", 0.6 * parent.value("accuracy_drop")
        trials.append(
            _complete(number, parent.configuration, Fidelity.FULL, drop, generator, origin, parent=parent.number)
        )
    return trials


def write_run(directory: Path, n_trials: int, seed: int = 0) -> RunDirectory:
    """Writes a run as a search would, journal and manifest, without its files."""
    run = RunDirectory(directory)
    space = SearchSpace(sites(), (), {})
    run.write_manifest(_manifest(space))
    trials = synthetic_trials(n_trials, seed)
    journal = Journal(run.journal)
    journal.open(StudyForm(space))
    journal.add(trials[0])
    *head, line = run.journal.read_text(encoding="utf-8").splitlines()
    # One by one through Optuna, on disk at once as a search does it, 10,000 trials would take minutes.
    record = json.loads(line)
    lines = [json.dumps(_filled(record, trial, space), separators=(",", ":")) for trial in trials]
    run.journal.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")
    return run


def _filled(record: Mapping[str, Any], trial: Trial, space: SearchSpace) -> dict[str, Any]:
    """The line of one trial, from that of another."""
    is_complete = trial.state is State.COMPLETE
    names = ("accuracy", "latency_ms", "size_bytes")
    chosen = {site.name: trial.configuration.get(site.name, site.neutral) for site in space.sites}
    return {
        **record,
        "state": 1 if is_complete else 3,
        "values": [trial.value(name) for name in names] if is_complete else None,
        "params": {site.name: site.choices.index(chosen[site.name]) for site in space.sites},
        "user_attrs": {name: trial.to_json() for name in record["user_attrs"]},
    }


def _candidate(number: int, generator: random.Random) -> Trial:
    strength = generator.random()
    choices = {site.name: _choice(site, strength, generator) for site in sites()}
    configuration = Configuration.of(
        {site.name: choices[site.name] for site in sites() if choices[site.name] != site.neutral}
    )
    origin = f"mutation of #{generator.randrange(number)}"
    fate = generator.random()
    if fate < 0.05:
        reason = "TrainingError: the loss must be finite, got nan"
        return Trial(number, configuration, Fidelity.SHORT, State.FAILED, origin=origin, reason=reason)
    drop = 12 * strength**2 * generator.uniform(0.6, 1.4)
    trial = _complete(number, configuration, Fidelity.SHORT, drop, generator, origin)
    if fate < 0.5 or not configuration:
        costs = {name: score for name, score in trial.scores.items() if not name.startswith("accuracy")}
        reason = "cannot enter the front even with the best accuracy seen"
        return Trial(number, configuration, Fidelity.SHORT, State.DOMINATED, costs, origin, reason=reason)
    return trial


def _choice(site: Site, strength: float, generator: random.Random) -> Choice:
    last = len(site.choices) - 1
    return site.choices[min(last, round(last * strength * generator.uniform(0.5, 1.5)))]


def _complete(
    number: int,
    configuration: Configuration,
    fidelity: Fidelity,
    drop: float,
    generator: random.Random,
    origin: str,
    parent: int | None = None,
) -> Trial:
    share = len(configuration) / len(sites())
    latency_ms = BASELINE_MS * (1 - 0.9 * share) * generator.uniform(0.9, 1.1)
    accuracy, size = BASELINE_ACCURACY - drop, BASELINE_BYTES * (1 - 0.9 * share)
    scores = [
        Score("latency_ms", latency_ms, "ms", False, 0.995 * latency_ms, 1.005 * latency_ms),
        Score("size_bytes", float(round(size)), "bytes", False),
        Score("memory_bytes", 262_144.0, "bytes", False, 262_144.0, 262_144.0),
        Score("macs", float(round(5e6 * (1 - 0.8 * share))), "MACs", False),
        Score("accuracy", accuracy, "%", True, accuracy - 0.8, accuracy + 0.8),
        Score("accuracy_drop", drop, "pt", False, drop - 0.5, drop + 0.5),
    ]
    operators = [
        [f"stage{i // 4}.block{i % 4}.conv", "Conv", "int8", round(latency_ms * 50, 2)] for i in range(N_LAYERS)
    ]
    details = {
        "predicted_ms": round(latency_ms * generator.uniform(0.9, 1.1), 6),
        "planned_int8": N_LAYERS,
        "executed_int8": N_LAYERS,
        "latency_quality": "good",
        "latency_pairs": 8,
        "foreign_cpu": 0.0,
        "operators": operators,
        "ended": {"wall_s": 10.0 * number, "cpu_s": 8.0 * number},
    }
    return Trial(
        number,
        configuration,
        fidelity,
        State.COMPLETE,
        {score.name: score for score in scores},
        origin,
        parent,
        seconds={"prepare": 0.233, "export": 0.143, "measure": 1.15, "train": 6.2, "evaluate": 0.007},
        artefact=f"trial-{number}.onnx",
        is_verified=True if fidelity is Fidelity.FULL else None,
        details=details,
    )


def _manifest(space: SearchSpace) -> dict[str, Any]:
    layers = list(dict.fromkeys(site.layer for site in space.sites if site.technique == "prune"))
    return {
        "version": "0",
        "task": "synthetic",
        "task_key": "synthetic",
        "hardware": "none",
        "profile_key": "none",
        "fingerprint": {"cpu_model": "none", "isa_flags": [], "n_cores": 1},
        "fingerprint_key": "none",
        "seed": 0,
        "sampler": "tables",
        "status": "finished",
        "goals": DEFAULT_GOALS.to_json(),
        "space": {
            "sites": [{"name": site.name, "layers": site.layers, "choices": site.choices} for site in space.sites]
        },
        "layers": [
            {"name": name, "kind": "conv", "macs": 250_000, "in_channels": 64, "out_channels": 64} for name in layers
        ],
        "seconds": {"train": 60.0, "measure": 30.0, "overhead": 10.0, "total": 100.0},
    }
