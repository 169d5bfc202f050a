"""What a second worker brings a search that trains, and whether measurements beside trainings tell the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.search_live import searched
from benchmarks.search_quality_figures import Figures
from parefront.hardware_profiles import load_profile
from parefront.search import RunDirectory, Trial
from parefront.search.clock import ENDED
from parefront.search.session import run_search
from parefront.search.settings import SearchSettings
from parefront.search.workers import Workers
from parefront.tasks import load_task

TASK, HARDWARE, N_TRIALS = "cluttered-digits", "cpu-ort-1t", 12
N_WORKERS = (1, 2)


def speedup_figures(folder: Path, task: str = TASK, hardware: str = HARDWARE, n_trials: int = N_TRIALS) -> Figures:
    """The same random candidates, all trained, with one worker and with two, each on one core.

    Args:
        folder: Of the two runs; a finished one is not done again, a stopped one goes on and its times mean nothing.
        task: Name or file.
        hardware: Profile.
        n_trials: Candidates.

    Returns:
        `speedup_2_workers`, the ratio of their trials per minute; `latency_spearman`, between the latencies of the same
        configurations, measured with nothing beside them and beside trainings; `n_compared` of them.
    """
    runs = [run_with(folder / f"workers-{n}", task, hardware, n_trials, n) for n in N_WORKERS]
    rates = [trials_per_minute(trials, n) for trials, n in zip(runs, N_WORKERS, strict=True)]
    pairs = latency_pairs(*runs)
    return {
        "speedup_2_workers": round(rates[1] / rates[0], 3),
        "latency_spearman": round(spearman(pairs), 4),
        "n_compared": len(pairs),
        "trials_per_minute_1": round(rates[0], 2),
        "trials_per_minute_2": round(rates[1], 2),
    }


def run_with(root: Path, task: str, hardware: str, n_trials: int, n_workers: int) -> list[Trial]:
    """A search of random candidates that end in training, whatever was seen before them."""
    settings = SearchSettings(n_trials, 0, sampler="random", n_repeats=0, has_stored_tables=False, has_cut=False)
    loaded, profile, directory = load_task(task), load_profile(hardware), RunDirectory(root)
    if (directory.read_manifest() or {}).get("status") == "finished":
        return searched(loaded, profile, settings, directory)
    workers = Workers(task, n_workers)
    return run_search(loaded, profile, settings, directory, on_status=lambda status: None, workers=workers)


def trials_per_minute(trials: Sequence[Trial], n_workers: int) -> float:
    """From when the first trial of each worker has ended: the start of the workers does not count."""
    ends_s = sorted(trial.details[ENDED]["wall_s"] for trial in trials if trial.configuration)
    return 60 * (len(ends_s) - n_workers) / (ends_s[-1] - ends_s[n_workers - 1])


def latency_pairs(first: Sequence[Trial], second: Sequence[Trial]) -> list[tuple[float, float]]:
    """The latencies of the configurations that both have measured, in ms."""
    known = {t.configuration: t.value("latency_ms") for t in first if t.configuration and "latency_ms" in t.scores}
    found = [t for t in second if t.configuration in known and "latency_ms" in t.scores]
    return [(known[trial.configuration], trial.value("latency_ms")) for trial in found]


def spearman(pairs: Sequence[tuple[float, float]]) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(*zip(*pairs, strict=True)).statistic)
