"""What a trial costs beside its evaluation: in our engine on Ray workers, and as a trial of Ray Tune."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.cluster_null import N_WORKERS, null_search, null_workers, open_executor, open_record
from benchmarks.search_quality_costs import synthetic_space
from benchmarks.search_quality_figures import Figures
from parefront.search import RunDirectory
from parefront.search.ray_cluster import connected
from parefront.search.record import owned
from parefront.search.settings import OWN_SAMPLER

N_TRIALS, N_WARM_UP, N_TUNE = 300, 20, 40


def overhead_figures(n_trials: int = N_TRIALS, n_tune: int = N_TUNE) -> Figures:
    """Milliseconds per trial, of wall time and of the driver's processor time; all parts are of one Ray.

    Returns:
        `overhead_ms`, `driver_ms` with random proposals; `overhead_ms_tables`, `driver_ms_tables` with ours;
        `tune_ms`, `tune_driver_ms` for a function that does nothing as a trial of Tune.
    """
    with connected(null_workers(N_WORKERS), []):
        return {
            **engine_figures("random", n_trials, ""),
            **engine_figures(OWN_SAMPLER, n_trials, "_tables"),
            **tune_figures(n_tune),
        }


def engine_figures(sampler: str, n_trials: int, suffix: str) -> Figures:
    """Of a search on workers that do nothing; they have started when the clock does."""
    executor = open_executor(N_WORKERS)
    try:
        with TemporaryDirectory() as folder, owned(directory := RunDirectory(Path(folder))):
            record = open_record(directory, synthetic_space())
            null_search(record, executor, sampler, N_WARM_UP)
            wall, cpu = time.perf_counter(), time.process_time()
            null_search(record, executor, sampler, N_WARM_UP + n_trials)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            assert len(record.trials) == 1 + N_WARM_UP + n_trials
    finally:
        executor.close()
    return {
        f"overhead_ms{suffix}": round(1e3 * wall / n_trials, 2),
        f"driver_ms{suffix}": round(1e3 * cpu / n_trials, 2),
    }


def tune_figures(n_trials: int) -> Figures:
    """Of an experiment whose trials do nothing, as many at a time."""
    from ray import tune

    def nothing(config: dict[str, Any]) -> None:
        tune.report({"accuracy": config["x"]})

    with TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            nothing,
            param_space={"x": tune.uniform(0.0, 1.0)},
            tune_config=tune.TuneConfig(num_samples=n_trials, max_concurrent_trials=N_WORKERS),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        wall, cpu = time.perf_counter(), time.process_time()
        results = tuner.fit()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        assert len(results) == n_trials
    return {"tune_ms": round(1e3 * wall / n_trials, 1), "tune_driver_ms": round(1e3 * cpu / n_trials, 1)}
