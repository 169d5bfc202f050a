"""One process's bench: it holds a task's network, data and baseline, and evaluates configurations on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..hardware_profiles.common_capabilities import common_capabilities
from ..hardware_profiles.fingerprint import Fingerprint
from ..hardware_profiles.profile import HardwareProfile
from ..hardware_profiles.runtimes import Session
from ..spaces import (
    DEFAULT_OPTIONS,
    Choice,
    CompressionOptions,
    Configuration,
    Finished,
    SearchSpace,
    find_space,
    observe,
    trace,
)
from ..tasks import Task, trained_network
from ..training import Batch, Split, TrainingRecipe
from .candidate_networks import CandidateNetworks, one_thread
from .candidate_training import CandidateTraining
from .devices import Devices
from .evaluation import Evaluation
from .evaluator import Score
from .latency import LatencyEvaluator, latency_score
from .macs import macs_score
from .paired_accuracy import PairedAccuracy
from .results_key import results_key
from .size import size_score
from .stopwatch import Stopwatch

CLASS_OF_BITS: Mapping[Choice, str] = {32: "fp32", "bf16": "bf16", "fp16": "fp16", 8: "int8"}
"""The precision class of the uncompressed network with every layer in a width."""
N_CALIBRATION = 256
"""Training samples for calibrating ranges."""
N_PARITY = 256
"""Validation samples that torch and the runtime are compared on."""

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, steps done, steps in all)."""


def draw_calibration(train: Split, seed: int) -> Batch:
    """The training samples that ranges, inputs and importances are measured on."""
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:N_CALIBRATION]
    return Batch(train.inputs[order], train.targets[order], order)


class Workbench:
    """Evaluates configurations of one task on one hardware profile, or on several at once.

    Of several the first is the main one: accuracy is measured through its file, and its scores have plain names. Every
    other one adds `latency_ms@NAME` and what else it tells, `size_bytes@NAME` only where its file has another format.

    Attributes:
        profile: The main hardware profile.
        capabilities: What all profiles execute.
        network: The traced baseline.
        space: What may be chosen on all profiles.
        setup_s: Seconds that loading the data, tracing and finding the space took: no part of training or measuring.
    """

    def __init__(
        self,
        task: Task,
        profile: HardwareProfile,
        artefacts: Path,
        *,
        seed: int,
        options: CompressionOptions = DEFAULT_OPTIONS,
        progress: Progress | None = None,
        has_inheritance: bool = False,
        others: Sequence[HardwareProfile] = (),
    ) -> None:
        """Loads the data, trains or loads the baseline, traces it and finds the space.

        Args:
            task: What is compressed.
            profile: What it will run on.
            artefacts: Directory of exported files; made if missing.
            seed: Of all training.
            options: How the techniques work where there is more than one way.
            progress: Told about the baseline's training.
            has_inheritance: Whether short fine-tunes start from the trained weights of the nearest ended trial.
            others: Further profiles that every candidate is measured on.

        Raises:
            ProfileError: The profiles have nothing in common, or a device lacks what its profile asks for.
            MeasurementError: A device cannot be reached.
        """
        self.task = task
        self.profile = profile
        self.seed = seed
        self._progress = progress
        self.capabilities = common_capabilities([profile, *others])
        # Before the data are loaded and the baseline is trained: a device that is missing is said at once.
        self._devices = Devices([profile, *others], artefacts)
        watch = Stopwatch()
        with watch("setup"):
            self.data = task.load_data()
        self._accuracy = PairedAccuracy(self.data, task.score)
        self._baseline = trained_network(task, self.data.train, on_step=self._on_step("training the baseline"))
        self.options = options
        drawn = draw_calibration(self.data.train, seed)
        with watch("setup"):
            traced = trace(self._baseline, self.data.train.inputs[:2])
            self.network = observe(
                traced, drawn.inputs, self.options, lambda module: task.loss(module(drawn.inputs), drawn.targets)
            )
            self.space: SearchSpace = find_space(self.network, self.capabilities, self.options)
        self.space.check_not_empty()
        self.setup_s = watch.seconds["setup"]
        self._has_inheritance = has_inheritance
        training = CandidateTraining(task, self._baseline, self.network, self.space, drawn.inputs, artefacts, seed)
        self._networks = CandidateNetworks(self.network, training, self.data.train, drawn.inputs, options)
        self._unscored: tuple[tuple[Configuration, TrainingRecipe], Finished, Stopwatch] | None = None

    @property
    def machine(self) -> Fingerprint:
        """The fingerprint of what measures on the main profile."""
        return self._devices.main.machine

    @property
    def machines(self) -> dict[str, Fingerprint]:
        """The fingerprints of all that measure, by the profile's name, the main one first."""
        return {device.profile.name: device.machine for device in self._devices}

    @property
    def suffix(self) -> str:
        """Of the files that the main profile's runtime loads."""
        return self._devices.main.artefacts.path("any").suffix

    @property
    def latency(self) -> LatencyEvaluator | None:
        """The main profile's; set by `anchor`."""
        return self._devices.main.latency

    def close(self) -> None:
        """Ends the measuring processes."""
        self._devices.close()

    def anchor(self, known_ms: Mapping[str, float] | None = None) -> dict[str, float]:
        """Exports the uncompressed network in each precision class and anchors their times, in ms.

        Args:
            known_ms: What this gave in an earlier session, taken instead of measuring.

        Returns:
            By precision class, those of profiles beside the main one as `fp32@NAME`.
        """
        references = {}
        for bits in self.capabilities.weight_bits:
            offered = (site for site in self.space.sites if site.technique == "bits" and bits in site.choices)
            name = CLASS_OF_BITS[bits]
            configuration = self.space.canonical({site.name: bits for site in offered})
            references[name] = f"reference-{name}"
            finished = self._networks.untrained(configuration, Stopwatch())
            self._devices.export(finished, self.network.example_inputs, references[name])
        return self._devices.anchor(references, known_ms)

    def set_reference(self, samples: NDArray[np.float64], test_samples: NDArray[np.float64]) -> None:
        """Sets the baseline's score per sample that drops are paired with, on validation and on test."""
        self._accuracy.set_reference(samples, test_samples)

    def with_drops(self, evaluation: Evaluation) -> Evaluation:
        """A final evaluation made before the reference was set, with its drops."""
        assert evaluation.samples is not None
        assert evaluation.test_samples is not None
        drops = {**self._accuracy.on_validation(evaluation.samples), **self._accuracy.on_test(evaluation.test_samples)}
        return replace(evaluation, scores={**evaluation.scores, **drops})

    def key(self) -> str:
        """SHA-256 over the network, the data and the recipes: what a run's results depend on beside the profile."""
        return results_key(self.task, self.data, self._baseline)

    def structure(self, configuration: Configuration, name: str) -> Evaluation:
        """Latency, size and MACs without any training: they depend on the structure only.

        Args:
            configuration: Canonical.
            name: Of the artefact, without a suffix, here and in the others.
        """
        watch = Stopwatch()
        finished = self._networks.untrained(configuration, watch)
        evaluation = self._score_structure(finished, name, watch, is_final=False)
        self._devices.keep_main_file(name)
        return evaluation

    def repeat(self, configuration: Configuration, name: str) -> Evaluation:
        """The structure once more, by the full protocol; the file that it is measured with does not stay."""
        watch = Stopwatch()
        evaluation = self._score_structure(self._networks.untrained(configuration, watch), name, watch, is_final=True)
        self._devices.remove(name)
        return evaluation

    def adopt(self, configuration: Configuration, name: str, trained: Path | None) -> Evaluation:
        """The structure of what was trained elsewhere, and the accuracy of its file where there is one.

        Args:
            configuration: Canonical.
            name: Of the file that the structure is measured with, which does not stay: it is untrained.
            trained: The trained network as the main device's runtime loads it; None where no such file exists.
        """
        evaluation = self.structure(configuration, name)
        self._devices.remove(name)
        if trained is None:
            return evaluation
        watch = Stopwatch()
        with watch("evaluate"):
            samples = self._accuracy.samples(self._devices.main.artefacts.open(trained), self.data.validation)
        scores = {**evaluation.scores, **self._accuracy.on_validation(samples)}
        seconds = _added(evaluation.seconds, watch.seconds)
        return replace(evaluation, scores=scores, seconds=seconds, samples=samples)

    def short(
        self, configuration: Configuration, structure: Evaluation, ended: Sequence[Configuration] = ()
    ) -> Evaluation:
        """Accuracy after the short fine-tune, through the exported file in the runtime; the rest from `structure`.

        Args:
            configuration: Canonical.
            structure: What `structure` gave.
            ended: Configurations that had a short fine-tune, of trials in the record, in that order: parents.
        """
        watch, on_step = Stopwatch(), self._on_step("fine-tuning")
        if not self._has_inheritance:
            finished = self._networks.trained(configuration, self.task.short_recipe, watch, on_step)
            return self._with_accuracy(finished, structure, watch)
        finished, start = self._networks.inherited(configuration, self.task.short_recipe, ended, watch, on_step)
        evaluation = self._with_accuracy(finished, structure, watch)
        if start.parent is None:
            return evaluation
        inherited = {"from": start.parent.key, "share": round(start.share, 3)}
        return replace(evaluation, details={**evaluation.details, "inherited": inherited})

    def calibrated(self, configuration: Configuration, structure: Evaluation) -> Evaluation:
        """Accuracy without training: BatchNorm re-estimated, ranges calibrated; the rest from `structure`."""
        watch = Stopwatch()
        return self._with_accuracy(self._networks.calibrated(configuration, watch), structure, watch)

    def _with_accuracy(self, finished: Finished, structure: Evaluation, watch: Stopwatch) -> Evaluation:
        """A structure's evaluation with the accuracy on validation, through the exported file in the runtime."""
        session = self._exported_session(finished, structure.artefact, watch)
        with watch("evaluate"):
            samples = self._accuracy.samples(session, self.data.validation)
        scores = {**structure.scores, **self._accuracy.on_validation(samples)}
        return replace(
            structure,
            scores=scores,
            seconds=_added(structure.seconds, watch.seconds),
            reason="",
            broken_limit="",
            samples=samples,
        )

    def full(self, configuration: Configuration, name: str, recipe: TrainingRecipe | None = None) -> Evaluation:
        """Full fine-tune, quiet measurement, test split and parity of the reloaded export."""
        key = (configuration, recipe or self.task.full_recipe)
        if self._unscored is None or self._unscored[0] != key:
            watch = Stopwatch()
            # Kept until it is scored: the device may go away meanwhile, and nobody wants to train for it twice.
            self._unscored = key, self._networks.trained(*key, watch, self._on_step("fine-tuning")), watch
        _, finished, watch = self._unscored
        evaluation = self._score_final(finished, name, watch)
        self._unscored = None
        return evaluation

    def baseline(self, name: str) -> Evaluation:
        """The baseline as it came: no training, otherwise like a final member."""
        watch = Stopwatch()
        return self._score_final(self._networks.untrained(Configuration(), watch), name, watch)

    def score_artefact(self, path: Path, precision: str, *, is_final: bool) -> dict[str, Score]:
        """Scores of a file of any origin on the main profile: latency, size, accuracy and drops on both splits."""
        assert self.latency is not None, "anchor() comes first"
        session = self._devices.main.artefacts.open(path)
        measured = self.latency.measure(path, precision, is_final=is_final)
        return {
            **{score.name: score for score in (latency_score(measured), size_score(path))},
            **self._accuracy.on_validation(self._accuracy.samples(session, self.data.validation)),
            **self._accuracy.on_test(self._accuracy.samples(session, self.data.test)),
        }

    def _score_final(self, finished: Finished, name: str, watch: Stopwatch) -> Evaluation:
        structure = self._score_structure(finished, name, watch, is_final=True)
        with watch("evaluate"):
            session = self._devices.main.artefacts.open(structure.artefact)
            samples = self._accuracy.samples(session, self.data.validation)
            test_samples = self._accuracy.samples(session, self.data.test)
            inputs = self.data.validation.inputs[:N_PARITY]
            parity, disagreement = self._devices.check_parity(finished, name, inputs, session)
        torch.save(finished.module.state_dict(), structure.artefact.with_suffix(".pt"))
        accuracy = {**self._accuracy.on_validation(samples), **self._accuracy.on_test(test_samples)}
        reason = structure.reason or disagreement
        return replace(
            structure,
            scores={**structure.scores, **accuracy, **parity},
            is_verified=not reason,
            reason=reason,
            samples=samples,
            test_samples=test_samples,
        )

    def _score_structure(self, finished: Finished, name: str, watch: Stopwatch, *, is_final: bool) -> Evaluation:
        with watch("export"), one_thread():
            self._devices.export(finished, self.network.example_inputs, name)
            macs = macs_score(finished.module, self.network.example_inputs)
        with watch("measure"):
            evaluation = self._devices.read(finished, name, is_final=is_final)
        return replace(evaluation, scores={**evaluation.scores, macs.name: macs}, seconds=watch.seconds)

    def _exported_session(self, finished: Finished, path: Path, watch: Stopwatch) -> Session:
        artefacts = self._devices.main.artefacts
        with watch("export"), one_thread():
            artefacts.export(finished, self.network.example_inputs, path)
            return artefacts.open(path)

    def _on_step(self, what: str) -> Callable[[int, int], None] | None:
        progress = self._progress
        return None if progress is None else lambda step, total: progress(what, step, total)


def _added(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    return {stage: a.get(stage, 0.0) + b.get(stage, 0.0) for stage in {**a, **b}}
