"""Searches of a sweep, as its plan holds them."""

from parefront.search.sweep_plan import SweepSearch

N_TRIALS, N_FINALS = 7, 2
"""Of `finished_run`."""


def planned(name: str, setting: str) -> SweepSearch:
    return SweepSearch(name, "tiny", "fast", setting, 0, {}, n_trials=N_TRIALS, n_finals=N_FINALS)
