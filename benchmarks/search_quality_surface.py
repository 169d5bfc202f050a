"""A response surface: real evaluations of one network's configurations, made cheap, each kept for ever.

Nothing is fitted or interpolated: a configuration that nobody asked for yet is compressed, exported, run and timed.
Its scores, noise included, stand in a file from then on, so a recorded surface gives every method the same answers.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
import tempfile
import time
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.search_quality_file import Recorded, SurfaceFile
from benchmarks.search_quality_networks import SPECS, SurfaceSpec
from parefront.evaluators.accuracy import accuracy_score, drop_score, sample_scores
from parefront.evaluators.calibration_draw import draw_calibration
from parefront.evaluators.deploy import misexecuted_layers
from parefront.evaluators.evaluator import Score
from parefront.evaluators.first_order import first_order_divergences
from parefront.evaluators.macs import macs_score
from parefront.evaluators.output_divergence import OutputDivergence
from parefront.evaluators.sensitivity import Damages
from parefront.evaluators.sensitivity_table import SensitivityTable
from parefront.evaluators.size import size_score
from parefront.evaluators.stopwatch import Stopwatch
from parefront.evaluators.table_file import TableFile
from parefront.hardware_profiles import OperatorTime, load_profile
from parefront.hardware_profiles.errors import ParefrontError
from parefront.hardware_profiles.export.qdq import export_onnx
from parefront.hardware_profiles.measuring.cores import realtime_priority
from parefront.hardware_profiles.measuring.intervals import centre, relative_half_width, signed_rank_interval
from parefront.hardware_profiles.runtimes import executed_precision
from parefront.hardware_profiles.runtimes.onnx_session import OnnxSession, load_onnx, session_options
from parefront.search.pareto import Point
from parefront.search.proposal import Proposal
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import (
    Configuration,
    Finished,
    Network,
    SearchSpace,
    find_space,
    finish,
    observe,
    prepare,
    reestimate_batch_norm,
    trace,
)
from parefront.spaces.linearise import set_linearity
from parefront.spaces.options import DEFAULT_OPTIONS
from parefront.tasks import digest, trained_network

SCHEMA = 3
PROFILE = load_profile("cpu-ort-1t")
BATCH = 32
"""Images in a timed inference: one alone takes these networks 50 µs, most of it spent between the operators."""
N_CALIBRATION = 128
BATCH_SIZE = 256
PROFILE_REPEATS = 6
N_PAIRS, MAX_PAIRS, BURST_MS = 6, 48, 2.0
"""Pairs of bursts, reference and candidate in turn: the fewest that have an interval, more until it is narrow."""
HALF_WIDTH = 0.015
MEASURING = 0.5
"""Evaluations in whose time choices are measured alone, before a search of ours begins."""


class Surface:
    """What any configuration of one network is worth.

    Attributes:
        spec: The network.
        network: Traced.
        space: What may be chosen in it.
        calibration: Training inputs, shape (n, ...).
        n_fresh: Configurations that this object evaluated, the others were known.
    """

    def __init__(self, spec: SurfaceSpec, folder: Path) -> None:
        """Trains the network, or reads it from the cache, and opens the file of its surface in a folder.

        Raises:
            SystemExit: The file holds another network's surface.
        """
        self.spec = spec
        task = spec.task()
        data = task.load_data()
        trained = trained_network(task, data.train)
        drawn = draw_calibration(data.train, 0)
        self.calibration, self._validation, self._score = drawn.inputs[:N_CALIBRATION], data.validation, task.score
        self.network: Network = observe(
            trace(trained, data.train.inputs[:2]),
            self.calibration,
            DEFAULT_OPTIONS,
            lambda module: task.loss(module(drawn.inputs), drawn.targets),
        )
        grid = {"channel_grid": spec.channel_grid}
        self.space: SearchSpace = find_space(self.network, PROFILE.capabilities.model_copy(update=grid))
        self.n_fresh = 0
        facts = [digest(trained.state_dict()), digest({"x": data.validation.inputs}), spec.channel_grid, BATCH, SCHEMA]
        self._file = SurfaceFile(folder / f"{spec.name}.jsonl", json.dumps(facts))

    def trial(self, number: int, proposal: Proposal) -> Trial:
        """The trial that a proposal becomes; fidelity `short` by convention, so that every proposer learns from it."""
        recorded = self.recorded(proposal.configuration)
        trial = Trial(
            number,
            proposal.configuration,
            Fidelity.SHORT,
            State.FAILED if recorded["reason"] else State.COMPLETE,
            origin=proposal.origin,
            reason=recorded["reason"],
            details=dict(proposal.details),
        )
        if recorded["reason"]:
            return trial
        scores = {name: Score.from_json(score) for name, score in recorded["scores"].items()}
        details = {**trial.details, "operators": recorded["operators"]}
        return dataclasses.replace(trial, scores=scores, seconds=recorded["seconds"], details=details)

    def recorded(self, configuration: Configuration) -> Recorded:
        """What is known of a configuration, found out now if need be."""
        key = configuration.to_json()
        found = self._file.get(key)
        if found is None:
            self.n_fresh += 1
            found = self._file.add({"key": key, **self._evaluate(configuration)})
        return found

    def known_points(self) -> list[Point]:
        """Of everything that was ever evaluated on this surface, by anybody, and did not fail."""
        configurations = map(Configuration.from_json, self._file.keys())
        trials = (self.trial(0, Proposal(configuration, "")) for configuration in configurations)
        return [self.point(trial) for trial in trials if trial.state is State.COMPLETE]

    @cached_property
    def divergences(self) -> Damages:
        """What each choice does to the outputs: estimates, corrected by what is measured in little time."""
        return {site: dict(pairs) for site, pairs in self._tables["divergences"].items()}

    @property
    def head_start(self) -> float:
        """Evaluations that could be made in the time that `divergences` took."""
        return float(self._tables["cpu_s"]) / self.evaluation_s

    @cached_property
    def _tables(self) -> dict[str, Any]:
        max_seconds = MEASURING * self.evaluation_s  # before the clock starts: it reads all that was recorded

        def measure() -> dict[str, Any]:
            started = time.process_time()
            estimates = first_order_divergences(self.network, self.space, self.calibration)
            divergence = OutputDivergence(self.network, self.calibration)
            with tempfile.TemporaryDirectory(prefix="parefront-surface-") as folder:
                file = TableFile(Path(folder) / "table", 10_000)
                table = SensitivityTable(self.space, divergence, file, clock=time.process_time)
                table.measure(table.plan(max_seconds))
            found = table.damages(estimates)
            cpu_s = time.process_time() - started
            return {"cpu_s": round(cpu_s, 4), "divergences": {name: [*each.items()] for name, each in found.items()}}

        facts: dict[str, Any] = self._file.fact("tables", measure)
        return facts

    @cached_property
    def evaluation_s(self) -> float:
        """Median CPU seconds of an evaluation, over all that were ever made here."""
        assert self.baseline
        recorded = [self._file.get(key) or {} for key in list(self._file.keys())]
        return statistics.median(each["cpu_s"] for each in recorded if "cpu_s" in each)

    def known_drops(self) -> dict[str, float]:
        """Points lost by everything that was ever evaluated here and did not fail, by configuration as JSON."""
        recorded = ((key, self._file.get(key) or {}) for key in list(self._file.keys()))
        return {key: each["scores"]["accuracy_drop"]["value"] for key, each in recorded if each.get("scores")}

    @cached_property
    def baseline(self) -> Trial:
        """Trial 0: the uncompressed network."""
        return self.trial(0, Proposal(Configuration(), "baseline"))

    def point(self, trial: Trial) -> Point:
        """A complete trial in the surface's box."""
        objectives = self.spec.goals.objectives
        return objectives.clipped(objectives.point(trial, self.baseline))

    @cached_property
    def _reference(self) -> tuple[OnnxSession, float, NDArray[np.float64]]:
        """The uncompressed network: a session, its time in ms as the file has it, and its score per sample."""
        with tempfile.TemporaryDirectory(prefix="parefront-surface-") as folder:
            session = _open(self._export(self._finished(Configuration()), Path(folder)))
        run_ms = self._file.fact("reference_ms", lambda: _burst_ms(session, 200))
        return session, run_ms, self._samples(session)

    def _evaluate(self, configuration: Configuration) -> Recorded:
        try:
            return self._measured(configuration)
        except ParefrontError as error:
            return {"reason": f"{type(error).__name__}: {error}"}

    def _measured(self, configuration: Configuration) -> Recorded:
        reference, reference_ms, reference_samples = self._reference
        watch, cpu = Stopwatch(), time.process_time()
        with watch("prepare"):
            finished = self._finished(configuration)
        with tempfile.TemporaryDirectory(prefix="parefront-surface-") as folder:
            with watch("export"):
                path = self._export(finished, Path(folder))
                macs, size = macs_score(finished.module, self.network.example_inputs), size_score(path)
            with watch("measure"):
                session = _open(path, Path(folder))
                with realtime_priority():
                    times = session.profiled(session.zeros(BATCH), PROFILE_REPEATS)
                    ratios = _log_ratios(session, reference) if len(configuration) else [0.0] * N_PAIRS
        with watch("evaluate"):
            samples = self._samples(session)
        missing = misexecuted_layers(finished, executed_precision(times))
        if missing:
            return {"reason": f"{len(missing)} layers did not execute as planned: {', '.join(missing)}"}
        scores = (
            accuracy_score("accuracy", samples, self._validation.origins),
            drop_score("accuracy_drop", samples, reference_samples, self._validation.origins),
            _latency_score(ratios, reference_ms),
            size,
            macs,
        )
        return {
            "reason": "",
            "scores": {score.name: score.to_json() for score in scores},
            "operators": [_row(time) for time in times],
            "seconds": {stage: round(seconds, 4) for stage, seconds in watch.seconds.items()},
            "cpu_s": round(time.process_time() - cpu, 4),
        }

    def _finished(self, configuration: Configuration) -> Finished:
        """As `Workbench.calibrated` does: BatchNorm re-estimated, ranges calibrated, nothing trained."""
        module = prepare(self.network, configuration)
        set_linearity(module, 1.0)
        reestimate_batch_norm(module, self.calibration)
        return finish(module, configuration, self.calibration)

    def _export(self, finished: Finished, folder: Path) -> Path:
        path = folder / "candidate.onnx"
        export_onnx(finished.module, tuple(each[:2] for each in self.network.example_inputs), finished.plan, path)
        return path

    def _samples(self, session: OnnxSession) -> NDArray[np.float64]:
        batches = self._validation.batches(BATCH_SIZE)
        outputs = torch.from_numpy(np.concatenate([session.run(batch.inputs.numpy()) for batch in batches]))
        return sample_scores(outputs, self._validation, self._score)


def load_surface(name: str, folder: Path) -> Surface:
    """The surface of one of `SPECS`, recorded in a folder."""
    return Surface(SPECS[name], folder)


def _open(path: Path, profiles: Path | None = None) -> OnnxSession:
    options = session_options(1)
    if profiles is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profiles / "profile")
    return OnnxSession(load_onnx(path, options, ("CPUExecutionProvider",)))


def _log_ratios(candidate: OnnxSession, reference: OnnxSession) -> list[float]:
    """Logarithms of the candidate's time over the reference's, one per pair of bursts, who is first swapped.

    Before other programs where that is permitted: a burst that others cut into is a wrong score for ever.
    """
    runs = {session: max(3, math.ceil(BURST_MS / _burst_ms(session, 5))) for session in (candidate, reference)}
    ratios: list[float] = []
    for position in range(MAX_PAIRS):
        if position >= N_PAIRS and position % 2 == 0 and relative_half_width(ratios) <= HALF_WIDTH:
            break
        order = (candidate, reference) if position % 2 else (reference, candidate)
        times = {session: _burst_ms(session, runs[session]) for session in order}
        ratios.append(math.log(times[candidate] / times[reference]))
    return ratios


def _burst_ms(session: OnnxSession, n_runs: int) -> float:
    """Time of the fastest inference, which others on the machine disturbed least; one before them is not counted."""
    inputs, times = session.zeros(BATCH), []
    for _ in range(n_runs + 1):
        started = time.perf_counter()
        session.run(inputs)
        times.append(time.perf_counter() - started)
    return 1e3 * min(times[1:])


def _latency_score(log_ratios: list[float], reference_ms: float) -> Score:
    low, high = signed_rank_interval(log_ratios)
    value = (math.exp(each) * reference_ms for each in (centre(log_ratios), low, high))
    return Score("latency_ms", next(value), "ms", is_higher_better=False, low=next(value), high=next(value))


def _row(time: OperatorTime) -> list[Any]:
    return [time.layer, time.operator, time.precision, round(time.microseconds, 2)]
