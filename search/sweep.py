"""Runs a sweep with Ray Tune: each search is one Tune trial, whose work happens in a process of its own.

Tune begins the searches, within the concurrency limit, on nodes that have the cores and the devices; it begins those
again that fail, and goes on with what is left (`Tuner.restore`). What a search has found is in its run directory alone,
so nothing depends on how much of its own state Tune had written when it was killed.
"""

from __future__ import annotations

import _thread
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial as TuneTrial

from ..hardware_profiles.errors import SearchError
from .ray_cluster import initialise
from .ray_devices import device_resource, no_device, resources_in_words
from .sweep_attempt import POLL_S, attempt
from .sweep_directory import Event, SearchState, SweepDirectory
from .sweep_plan import SweepPlan, SweepSearch

_SHARE = 0.001
"""Of a device that a search asks for: it only says where the search runs."""
_TICK_S = 1.0
_SEARCH = "search"
_ENVIRONMENT = {
    # The display is ours.
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    # Relative paths of tasks refer to where the sweep was begun.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


def run_sweep(
    plan: SweepPlan,
    directory: SweepDirectory,
    command: Sequence[str],
    *,
    address: str,
    on_tick: Callable[[], None] = lambda: None,
) -> None:
    """Runs a sweep, or goes on with one, until all is done or it is asked to stop.

    Args:
        plan: All searches.
        directory: Where everything is kept.
        command: What runs one search, without its flags.
        address: Of Ray: `local`, `auto` or `host:port`.
        on_tick: Told about once a second that there may be news in the directory.

    Raises:
        SearchError: Ray cannot be used, lacks what a search needs, or somebody else runs this sweep.
    """
    with directory.driven(), _quiet_ray(plan, address):
        check_room(plan)
        directory.write(plan)
        with _watched(plan, directory, on_tick):
            _tuner(plan, directory, command).fit()


def _tuner(plan: SweepPlan, directory: SweepDirectory, command: Sequence[str]) -> tune.Tuner:
    """A new Tune experiment, or the one that was begun."""
    by_name = {search.name: search for search in plan.searches}

    def run_one(config: dict[str, Any]) -> None:
        if attempt(by_name[config[_SEARCH]], plan, directory, command) is Event.STOPPED:
            # For Tune it has not ended, so that it is begun again when the sweep goes on.
            while True:
                time.sleep(POLL_S)

    def resources(config: dict[str, Any]) -> tune.PlacementGroupFactory:
        return tune.PlacementGroupFactory([_bundle(by_name[config[_SEARCH]])])

    trainable = tune.with_resources(run_one, resources)
    if tune.Tuner.can_restore(str(directory.tune)):
        try:
            # Failed searches begin with all their retries again: a person looked at them meanwhile.
            return tune.Tuner.restore(str(directory.tune), trainable, resume_unfinished=True, restart_errored=True)
        except Exception as error:
            raise SearchError(
                f"{directory.tune} must be what Ray Tune can go on from, but it is not ({error}): remove it; the "
                "searches themselves lose nothing"
            ) from error
    return tune.Tuner(
        trainable,
        param_space={_SEARCH: tune.grid_search(list(by_name))},
        # An actor takes seconds to start, so the next search begins in that of the last one.
        tune_config=tune.TuneConfig(max_concurrent_trials=plan.concurrency, reuse_actors=True),
        run_config=tune.RunConfig(
            name=directory.tune.name,
            storage_path=str(directory.root),
            failure_config=tune.FailureConfig(max_failures=plan.retries),
            callbacks=[NoteFailures(directory)],
            verbose=0,
        ),
    )


class NoteFailures(tune.Callback):
    """Notes what a search could not note itself: that its worker died, and that no retries are left."""

    def __init__(self, directory: SweepDirectory) -> None:
        self._directory = directory

    def on_trial_recover(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """It failed, and is begun again."""
        name = trial.config[_SEARCH]
        if self._directory.attempts(name).last is Event.BEGAN:
            self._directory.note(name, Event.FAILED, error=_DIED)

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """It failed for the last time."""
        name = trial.config[_SEARCH]
        self._directory.note(name, Event.GIVEN_UP, error=self._directory.attempts(name).error or _DIED)


_DIED = "the worker or the node that it ran on died"


@contextlib.contextmanager
def _quiet_ray(plan: SweepPlan, address: str) -> Iterator[None]:
    """Ray for the time of the sweep; what it and Tune print goes nowhere, as the display is ours."""
    os.environ.update(_ENVIRONMENT)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    devices = sorted({device_resource(name) for search in plan.searches for name in search.devices})
    try:
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            initialise(address, plan.concurrency * max(search.n_cpus for search in plan.searches), devices)
            yield
    finally:
        ray.shutdown()


def check_room(plan: SweepPlan) -> None:
    """Makes sure that each search finds a place, instead of waiting for one for ever.

    Args:
        plan: All searches; Ray must be connected.

    Raises:
        SearchError: One does not.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]  # Ray left it out.
    for search in plan.searches:
        for missing in filter(None, (no_device(name, nodes) for name in search.devices)):
            raise SearchError(f"{search.name}: {missing}")
        bundle = _bundle(search)
        if not any(all(node["Resources"].get(name, 0) >= n for name, n in bundle.items()) for node in nodes):
            wanted = ", ".join(f"{name} {n:g}" for name, n in bundle.items() if n != _SHARE)
            raise SearchError(
                f"a node must have room for {search.name} ({wanted}), but nodes and resources are "
                f"{resources_in_words(nodes)}: ask for less with cpus, or in the task"
            )


def _bundle(search: SweepSearch) -> dict[str, float]:
    """What a search asks of Ray."""
    asked = {"CPU": float(search.n_cpus), "GPU": search.n_gpus, "memory": float(search.memory_bytes)}
    devices = {device_resource(name): _SHARE for name in search.devices}
    return {name: n for name, n in asked.items() if n} | devices


@contextlib.contextmanager
def _watched(plan: SweepPlan, directory: SweepDirectory, on_tick: Callable[[], None]) -> Iterator[None]:
    """Beside Tune, which has the main thread: tells of news, and ends Tune once the sweep was asked to stop."""
    has_ended = threading.Event()

    def watch() -> None:
        is_told = False
        while not has_ended.wait(_TICK_S):
            on_tick()
            if not is_told and directory.stop() is not None and not _runs(plan, directory):
                # As Ctrl-C does: Tune writes what it needs to go on, and leaves. Not by a signal, which a job of Ray
                # would not hear.
                _thread.interrupt_main()
                is_told = True

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except KeyboardInterrupt:
        # The one by which the watcher ends Tune, where Tune was not listening: all is written all the same.
        if directory.stop() is None:
            raise
    finally:
        has_ended.set()
        watcher.join()
        on_tick()


def _runs(plan: SweepPlan, directory: SweepDirectory) -> bool:
    states = (directory.state(search.name, is_driven=True) for search in plan.searches)
    return any(state is SearchState.RUNNING for state in states)
