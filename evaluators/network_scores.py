"""All scores of a finished network: it is exported, measured on every device and judged through the main one's file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from ..hardware_profiles.runtimes import Session
from ..spaces import Configuration, Finished
from ..tasks import TaskData
from .candidate_networks import one_thread
from .devices import Devices
from .evaluation import Evaluation
from .evaluator import Score
from .kept_network import KeptNetwork, kept_path
from .latency import latency_score
from .macs import macs_score
from .packed_facts import PackedFacts
from .paired_accuracy import PairedAccuracy
from .size import size_score, stored_score
from .stopwatch import Stopwatch

N_PARITY = 256
"""Validation samples that torch and the runtime are compared on."""


class NetworkScores:
    """Scores networks of one task; every method adds its time to the stopwatch it is given."""

    def __init__(
        self,
        devices: Devices,
        accuracy: PairedAccuracy,
        data: TaskData,
        example_inputs: tuple[Tensor, ...],
        *,
        describe: Callable[[Configuration], PackedFacts] | None = None,
    ) -> None:
        """Nothing is exported or measured yet.

        Args:
            devices: What networks are measured on.
            accuracy: Judges them.
            data: On what.
            example_inputs: Of the network, as it is exported with them.
            describe: What a packed file says of a configuration beside the network; None where networks are not packed
                for the bytes that it takes to store them.
        """
        self._devices, self._accuracy, self._data = devices, accuracy, data
        self._example_inputs, self._describe = example_inputs, describe

    def structure(self, finished: Finished, name: str, watch: Stopwatch, *, is_final: bool) -> Evaluation:
        """Latency, size and MACs: they do not depend on training; and what it takes to store the network as it is.

        Args:
            finished: The network.
            name: Of its files, without a suffix.
            watch: Times it.
            is_final: Whether it is measured by the full protocol.
        """
        with watch("export"), one_thread():
            self._devices.export(finished, self._example_inputs, name)
            macs = macs_score(finished.module, self._example_inputs)
        with watch("measure"):
            evaluation = self._devices.read(finished, name, is_final=is_final)
        scores = {**evaluation.scores, macs.name: macs, **self._stored(finished, watch)}
        return replace(evaluation, scores=scores, seconds=watch.seconds)

    def structure_like(self, known: Evaluation, finished: Finished, name: str, watch: Stopwatch) -> Evaluation:
        """The structure of a network that differs from a measured one in nothing but in what is stored.

        Args:
            known: Of the other network, from `structure`.
            finished: The network.
            name: Of its files, without a suffix.
            watch: Times it.
        """
        with watch("export"), one_thread():
            path = self._devices.export(finished, self._example_inputs, name)
        scores = {**known.scores, **self._stored(finished, watch)}
        return replace(known, scores=scores, seconds=watch.seconds, artefact=path)

    def with_accuracy(self, finished: Finished, structure: Evaluation, watch: Stopwatch) -> Evaluation:
        """A structure's evaluation with the accuracy on validation, through the exported file in the runtime."""
        session = self._exported_session(finished, structure.artefact, watch)
        # Training moves the weights, and with them what an entropy code makes of them.
        structure = replace(structure, scores={**structure.scores, **self._stored(finished, watch)})
        return replace(self.with_accuracy_of(session, structure, watch), reason="", broken_limit="")

    def with_accuracy_of(self, session: Session, structure: Evaluation, watch: Stopwatch) -> Evaluation:
        """The same for a file that is there already; what is wrong with the structure stays."""
        with watch("evaluate"):
            samples = self._accuracy.samples(session, self._data.validation)
        scores = {**structure.scores, **self._accuracy.on_validation(samples)}
        return replace(structure, scores=scores, seconds=_added(structure.seconds, watch.seconds), samples=samples)

    def final(self, finished: Finished, name: str, watch: Stopwatch) -> Evaluation:
        """Quiet measurement, accuracy on both splits, and parity of the reloaded export; the network is kept."""
        structure = self.structure(finished, name, watch, is_final=True)
        with watch("evaluate"):
            session = self._devices.main.artefacts.open(structure.artefact)
            samples = self._accuracy.samples(session, self._data.validation)
            test_samples = self._accuracy.samples(session, self._data.test)
            inputs = self._data.validation.inputs[:N_PARITY]
            parity, disagreement = self._devices.check_parity(finished, name, inputs, session)
        KeptNetwork.of(finished, inputs).write(kept_path(structure.artefact))
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

    def of_file(self, path: Path, precision: str, *, is_final: bool) -> dict[str, Score]:
        """Scores of a file of any origin on the main profile: latency, size, accuracy and drops on both splits."""
        latency = self._devices.main.latency
        assert latency is not None, "anchor() comes first"
        session = self._devices.main.artefacts.open(path)
        measured = latency.measure(path, precision, is_final=is_final)
        return {
            **{score.name: score for score in (latency_score(measured), size_score(path))},
            **self._accuracy.on_validation(self._accuracy.samples(session, self._data.validation)),
            **self._accuracy.on_test(self._accuracy.samples(session, self._data.test)),
        }

    def _stored(self, finished: Finished, watch: Stopwatch) -> dict[str, Score]:
        if self._describe is None:
            return {}
        with watch("pack"), one_thread():
            score = stored_score(finished, self._describe(finished.configuration))
        return {score.name: score}

    def _exported_session(self, finished: Finished, path: Path, watch: Stopwatch) -> Session:
        artefacts = self._devices.main.artefacts
        with watch("export"), one_thread():
            artefacts.export(finished, self._example_inputs, path)
            return artefacts.open(path)


def _added(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    return {stage: a.get(stage, 0.0) + b.get(stage, 0.0) for stage in {**a, **b}}
