"""Which way to tell the decisions that matter is right: surfaces with known variances, 60 sites, random and searched.

    python -m benchmarks.importance [--quick] [--out FILE]

A surface loses accuracy by a sum over the sites, a few products of two and a saturation; latency is a logarithm of a
sum. What each site is worth is its main effect's variance over all configurations, by 6,000 random ones. A source of
trials is either `random`, or `search`: uniform networks, then mutations, shifts and crossovers of the front, the best
of ten by a noisy prediction, so that the trials resemble each other as those of a search do. Prints a table, and as its
last line one JSON object, which is also written to `benchmarks/results/importance.json` (with `--quick`, only to
`--out`).

How to read it, each a mean over the seeds:

- **`found`**: of the eight sites that are worth most, the share that is among the eight named (chance: 8 of 60, 0.13).
- **`spearman`**: rank correlation with the worth over all sites.
- **`clear`**, **`clear_right`**: sites whose effect ours calls clear, and the share of them with the right sign.
- **`cpu_s`**: CPU time of one call; `cpu_s_10000` is that of three objectives at 10,000 trials.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    MeanDecreaseImpurityImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)
from optuna.trial import create_trial
from scipy.stats import spearmanr

from parefront.evaluators.evaluator import Score
from parefront.results.importance import ObjectiveImportance, importances
from parefront.search.objectives import Objective
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import Configuration, Site

RESULTS = Path(__file__).resolve().parent / "results" / "importance.json"
N_LAYERS = 20
SITES = tuple(
    Site(f"{technique}/l{layer:02d}", (f"l{layer:02d}",), tuple(range(n)))
    for layer in range(N_LAYERS)
    for technique, n in (("prune", 5), ("rank", 3), ("bits", 2))
)
LAST = np.array([len(site.choices) - 1 for site in SITES])
N_NAMED = 8
N_TRIALS, N_SEEDS = (60, 200, 500), 5
NOISE_PT = 0.7
OPTUNA: dict[str, Callable[[int], BaseImportanceEvaluator]] = {
    "ped_anova": lambda seed: PedAnovaImportanceEvaluator(target_quantile=0.5),
    "fanova": lambda seed: FanovaImportanceEvaluator(seed=seed, n_trees=16),
    "mean_decrease": lambda seed: MeanDecreaseImpurityImportanceEvaluator(seed=seed),
}
SCORES = {"accuracy": "accuracy_drop", "latency": "latency_ms"}

Ranks = np.ndarray[Any, np.dtype[np.int64]]  # position of each site's choice, shape (..., sites)
Values = np.ndarray[Any, np.dtype[np.float64]]


class Surface:
    """What a configuration loses and takes."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        weights = rng.permutation(np.exp(-np.arange(len(SITES)) / 12))
        self._weights, self._powers = 60 * weights / weights.sum(), rng.choice([1.0, 2.0], len(SITES))
        self._pairs, self._products = rng.integers(len(SITES), size=(2, 30)), rng.normal(0, 1, 30)
        self._latency = rng.dirichlet(np.full(len(SITES), 0.7))

    def accuracy(self, ranks: Ranks) -> Values:
        """Points lost."""
        x = ranks / LAST
        total = x**self._powers @ self._weights + (x[..., self._pairs[0]] * x[..., self._pairs[1]]) @ self._products
        return np.asarray(88 * (1 - np.exp(-(np.maximum(total, 0) ** 1.3) / 120)))

    def latency(self, ranks: Ranks) -> Values:
        """Logarithm of the ratio to the neutral one."""
        return np.asarray(np.log(1 - 0.8 * (ranks / LAST) @ self._latency))

    def worth(self, value: Callable[[Ranks], Values]) -> tuple[Values, Values]:
        """Per site: variance of the main effect, and what the strongest choice does beside the neutral one."""
        ranks = draw(np.random.default_rng(5), 6000)
        values = value(ranks)
        means = [[values[ranks[:, i] == rank].mean() for rank in range(LAST[i] + 1)] for i in range(len(SITES))]
        return np.array([np.var(each) for each in means]), np.array([each[-1] - each[0] for each in means])


def draw(rng: np.random.Generator, n: int) -> Ranks:
    """Random configurations."""
    return rng.integers(0, LAST + 1, size=(n, len(SITES)))


def searched(surface: Surface, rng: np.random.Generator, n: int) -> Ranks:
    """Configurations as a search comes upon them."""
    found = [np.round(share * LAST).astype(int) for share in np.linspace(0, 1, 9)]
    found += [np.minimum(LAST, (rng.random(len(SITES)) * share * (LAST + 1)).astype(int)) for share in (0.2, 0.4, 0.7)]
    drops, costs = surface.accuracy(np.array(found)), surface.latency(np.array(found))
    while len(found) < n:
        front = [i for i in range(len(found)) if drops[i] < 20 and not ((drops <= drops[i]) & (costs < costs[i])).any()]
        moved = np.array([change(found[rng.choice(front)], found[rng.choice(front)], rng) for _ in range(10)])
        predicted = surface.accuracy(moved) + rng.normal(0, 3, 10)
        best = moved[np.argmin(predicted / 5 + surface.latency(moved) / math.log(64))]
        found.append(best)
        drops, costs = np.append(drops, surface.accuracy(best)), np.append(costs, surface.latency(best))
    return np.array(found)


def change(parent: Ranks, other: Ranks, rng: np.random.Generator) -> Ranks:
    """A mutation, a shift of one technique in some layers, or a crossover."""
    ranks, how = parent.copy(), rng.random()
    if how < 0.5:
        sites = rng.choice(len(SITES), rng.integers(1, 5), replace=False)
        ranks[sites] += rng.choice([-2, -1, 1, 2], len(sites))
    elif how < 0.75:
        first, last = np.sort(rng.integers(N_LAYERS, size=2))
        ranks[3 * first + rng.integers(3) : 3 * last + 3 : 3] += rng.choice([-1, 1])
    else:
        cut = 3 * rng.integers(N_LAYERS)
        ranks[cut:] = other[cut:]
    return np.asarray(np.clip(ranks, 0, LAST))


def as_trials(ranks: Ranks, drops: Values, logs: Values) -> list[Trial]:
    """As a search records them; the first is taken for the baseline."""
    trials = []
    for number, (row, drop, log) in enumerate(zip(ranks, drops, logs, strict=True)):
        choices = {site.name: int(rank) for site, rank in zip(SITES, row, strict=True) if rank}
        scores = {
            "accuracy_drop": Score("accuracy_drop", float(drop), "pt", False),
            "latency_ms": Score("latency_ms", math.exp(log), "ms", False),
        }
        trials.append(Trial(number, Configuration.of(choices), Fidelity.SHORT, State.COMPLETE, scores))
    return trials


def by_optuna(evaluator: BaseImportanceEvaluator, trials: list[Trial], objective: str) -> dict[str, float]:
    """Optuna's answer, over a study in memory."""
    distributions: dict[str, BaseDistribution] = {s.name: IntDistribution(0, len(s.choices) - 1) for s in SITES}
    neutral = dict.fromkeys(distributions, 0)
    study = optuna.create_study()
    for trial in trials:
        value = trial.value(SCORES[objective])
        value = math.log(value) if objective == "latency" else value
        params = {**neutral, **trial.configuration}
        study.add_trial(create_trial(value=value, params=params, distributions=distributions))
    return get_param_importances(study, evaluator=evaluator)


def compare(surface: Surface, trials: list[Trial], objective: str, seed: int) -> dict[str, dict[str, float]]:
    """Every method on the same trials."""
    worth, effects = surface.worth(getattr(surface, objective))
    figures = {}
    for name in (*OPTUNA, "ours"):
        start = time.process_time()
        if name == "ours":
            (ours,) = importances(trials, SITES, (Objective(objective),))
            shares = {each.site: each.share for each in ours.sites}
        else:
            shares = by_optuna(OPTUNA[name](seed), trials, objective)
        cpu = time.process_time() - start
        named = np.array([shares.get(site.name, 0.0) for site in SITES])
        top = set(np.argsort(-named)[:N_NAMED]) & set(np.argsort(-worth)[:N_NAMED])
        rank = float(spearmanr(named, worth).statistic) if np.ptp(named) else 0.0
        figures[name] = {"found": len(top) / N_NAMED, "spearman": rank, "cpu_s": cpu}
    figures["ours"] |= clear_effects(ours, effects)
    return figures


def clear_effects(ours: ObjectiveImportance, effects: Values) -> dict[str, float]:
    """How many effects are called clear, and how many of them have the right sign (nan without any)."""
    sign = -1.0 if ours.effect_unit == "pt" else 1.0  # a drop is told as a loss
    truth = {site.name: effect for site, effect in zip(SITES, effects, strict=True)}
    right = [sign * each.effect * truth[each.site] > 0 for each in ours.sites if each.is_clear]
    return {"clear": len(right), "clear_right": float(np.mean(right)) if right else math.nan}


def cpu_s(n: int) -> float:
    """CPU time of three objectives at so many trials."""
    surface, ranks = Surface(0), draw(np.random.default_rng(0), n)
    trials = as_trials(ranks, surface.accuracy(ranks), surface.latency(ranks))
    start = time.process_time()
    importances(trials, SITES, (Objective("accuracy"), Objective("latency"), Objective("latency")))
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    counts, n_seeds = ((60,), 1) if arguments.quick else (N_TRIALS, N_SEEDS)
    figures: dict[str, float] = {}
    for source in ("random", "search"):
        for n in counts:
            runs: dict[str, list[float]] = {}
            for seed in range(n_seeds):
                surface, rng = Surface(seed), np.random.default_rng(seed + 50)
                ranks = searched(surface, rng, n) if source == "search" else draw(rng, n)
                drops = surface.accuracy(ranks) + rng.normal(0, NOISE_PT, n)
                trials = as_trials(ranks, drops, surface.latency(ranks))
                for objective in SCORES:
                    for method, each in compare(surface, trials, objective, seed).items():
                        for name, value in each.items():
                            runs.setdefault(f"{source}_{n}_{objective}_{method}_{name}", []).append(value)
            means = {name: float(np.nanmean(values)) for name, values in runs.items() if not np.isnan(values).all()}
            for name, mean in means.items():
                print(f"{name:45s} {mean:.2f}", flush=True)
            figures |= {name: round(mean, 3) for name, mean in means.items()}
    if not arguments.quick:
        figures |= {f"cpu_s_{n}": round(cpu_s(n), 2) for n in (1000, 10_000)}
    line = json.dumps(figures)
    out = arguments.out or (None if arguments.quick else RESULTS)
    if out:
        out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(line)


if __name__ == "__main__":
    main()
