"""One process's bench: it holds a task's network, data and baseline, and evaluates configurations on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..hardware_profiles.common_capabilities import common_capabilities
from ..hardware_profiles.fingerprint import Fingerprint
from ..hardware_profiles.profile import HardwareProfile
from ..hardware_profiles.transport.transport import OpenTransport, as_profiled
from ..spaces import (
    DEFAULT_OPTIONS,
    Choice,
    CompressionOptions,
    Configuration,
    Finished,
    SearchSpace,
    executed_part,
    find_space,
    observe,
    trace,
)
from ..tasks import Task, trained_network
from ..training import TrainingRecipe
from .calibration_draw import draw_calibration
from .candidate_networks import CandidateNetworks
from .candidate_training import CandidateTraining
from .devices import Devices
from .evaluation import Evaluation
from .evaluator import Score
from .inheritance import Inheritance
from .latency import LatencyEvaluator
from .network_scores import NetworkScores
from .packed_facts import PackedFacts
from .paired_accuracy import PairedAccuracy
from .results_key import results_key
from .stopwatch import Stopwatch

CLASS_OF_BITS: Mapping[Choice, str] = {32: "fp32", "bf16": "bf16", "fp16": "fp16", 8: "int8"}
"""The precision class of the uncompressed network with every layer in a width."""
Progress = Callable[[str, int, int], None]
"""Called with (what is being done, steps done, steps in all)."""


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
        inheritance: Inheritance = Inheritance.NONE,
        others: Sequence[HardwareProfile] = (),
        open_transport: OpenTransport = as_profiled,
        n_threads: int | None = None,
    ) -> None:
        """Loads the data, trains or loads the baseline, traces it and finds the space.

        Args:
            task: What is compressed.
            profile: What it will run on.
            artefacts: Directory of exported files; made if missing.
            seed: Of all training.
            options: How the techniques work where there is more than one way.
            progress: Told about the baseline's training.
            inheritance: What short fine-tunes take over from the nearest ended trial.
            others: Further profiles that every candidate is measured on.
            open_transport: The way to where a profile is measured; its own host by default.
            n_threads: For accuracy in the runtimes; all cores of this process where it is None.

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
        self._devices = Devices([profile, *others], artefacts, open_transport, n_threads)
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
        self._inheritance = inheritance
        training = CandidateTraining(
            task, self._baseline, self.network, self.space, drawn.inputs, artefacts, seed, inheritance
        )
        self._networks = CandidateNetworks(
            self.network, training, self.data.train, drawn.inputs, options, self.capabilities
        )
        self._scores = NetworkScores(
            self._devices,
            self._accuracy,
            self.data,
            self.network.example_inputs,
            describe=self._describe if options.has_stored else None,
        )
        self._structures: dict[Configuration, Evaluation] = {}
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

    def anchor(self, known_ms: Mapping[str, float] | None = None, *, is_exported: bool = False) -> dict[str, float]:
        """Exports the uncompressed network in each precision class and anchors their times, in ms.

        Args:
            known_ms: What this gave in an earlier session, taken instead of measuring.
            is_exported: Whether another process of the run exported it: a file that is being measured with must stay.

        Returns:
            By precision class, those of profiles beside the main one as `fp32@NAME`.
        """
        references = {}
        for bits in self.capabilities.weight_bits:
            offered = (site for site in self.space.sites if site.technique == "bits" and bits in site.choices)
            name = CLASS_OF_BITS[bits]
            configuration = self.space.canonical({site.name: bits for site in offered})
            references[name] = f"reference-{name}"
            if is_exported:
                continue
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

        What differs in its storage alone is measured once.

        Args:
            configuration: Canonical.
            name: Of the artefact, without a suffix, here and in the others.
        """
        watch = Stopwatch()
        finished = self._networks.untrained(configuration, watch)
        executed = executed_part(configuration, finished.plan.sparse)
        if executed in self._structures:
            evaluation = self._scores.structure_like(self._structures[executed], finished, name, watch)
        else:
            evaluation = self._scores.structure(finished, name, watch, is_final=False)
            if self.options.has_stored:
                self._structures[executed] = evaluation
        self._devices.keep_main_file(name)
        return evaluation

    def repeat(self, configuration: Configuration, name: str) -> Evaluation:
        """The structure once more, by the full protocol; the file that it is measured with does not stay."""
        watch = Stopwatch()
        evaluation = self._scores.structure(self._networks.untrained(configuration, watch), name, watch, is_final=True)
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
            session = self._devices.main.artefacts.open(trained)
        return self._scores.with_accuracy_of(session, evaluation, watch)

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
        if self._inheritance is Inheritance.NONE:
            finished = self._networks.trained(configuration, self.task.short_recipe, watch, on_step)
            return self._scores.with_accuracy(finished, structure, watch)
        finished, start = self._networks.inherited(configuration, self.task.short_recipe, ended, watch, on_step)
        evaluation = self._scores.with_accuracy(finished, structure, watch)
        if start.parent is None:
            return evaluation
        inherited: dict[str, object] = {"from": start.parent.key, "share": round(start.share, 3)}
        if start.layers is not None:
            inherited["trained_layers"] = sorted(start.layers)
        return replace(evaluation, details={**evaluation.details, "inherited": inherited})

    def calibrated(self, configuration: Configuration, structure: Evaluation) -> Evaluation:
        """Accuracy without training: BatchNorm re-estimated, ranges calibrated; the rest from `structure`."""
        watch = Stopwatch()
        return self._scores.with_accuracy(self._networks.calibrated(configuration, watch), structure, watch)

    def full(self, configuration: Configuration, name: str, recipe: TrainingRecipe | None = None) -> Evaluation:
        """Full fine-tune, quiet measurement, test split and parity of the reloaded export."""
        key = (configuration, recipe or self.task.full_recipe)
        if self._unscored is None or self._unscored[0] != key:
            watch = Stopwatch()
            # Kept until it is scored: the device may go away meanwhile, and nobody wants to train for it twice.
            self._unscored = key, self._networks.trained(*key, watch, self._on_step("fine-tuning")), watch
        _, finished, watch = self._unscored
        evaluation = self._scores.final(finished, name, watch)
        self._unscored = None
        return evaluation

    def baseline(self, name: str) -> Evaluation:
        """The baseline as it came: no training, otherwise like a final member."""
        watch = Stopwatch()
        return self._scores.final(self._networks.untrained(Configuration(), watch), name, watch)

    def score_artefact(self, path: Path, precision: str, *, is_final: bool) -> dict[str, Score]:
        """Scores of a file of any origin on the main profile: latency, size, accuracy and drops on both splits."""
        return self._scores.of_file(path, precision, is_final=is_final)

    def _describe(self, configuration: Configuration) -> PackedFacts:
        return PackedFacts.of(self.task.name, configuration, self.data.validation.inputs, self.seed)

    def _on_step(self, what: str) -> Callable[[int, int], None] | None:
        progress = self._progress
        return None if progress is None else lambda step, total: progress(what, step, total)
