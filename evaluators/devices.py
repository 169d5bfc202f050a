"""Several hardware profiles that one network is meant for: each is measured, equal files are written once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..hardware_profiles.profile import HardwareProfile
from ..hardware_profiles.runtimes import Session
from ..hardware_profiles.runtimes.runtime import external_data
from ..hardware_profiles.transport.transport import OpenTransport, as_profiled
from ..spaces import Finished
from .deploy import check_parity
from .device import Device, Reading
from .evaluation import Evaluation
from .evaluator import Score, at_profile


class Devices:
    """The devices of one search.

    The first one is the main one: its scores have plain names. Those of every other profile end in `@` and its name, as
    in `latency_ms@board`.
    """

    def __init__(
        self,
        profiles: Sequence[HardwareProfile],
        folder: Path,
        open_transport: OpenTransport = as_profiled,
        n_threads: int | None = None,
    ) -> None:
        """Reaches all devices, or none.

        Args:
            profiles: Of different names, the main one first.
            folder: Of the exported files; made if missing.
            open_transport: The way to where a profile is measured.
            n_threads: For accuracy; all cores of this process where it is None.

        Raises:
            ProfileError: A device lacks what its profile asks for, or a runtime is not installed.
            MeasurementError: One cannot be reached.
        """
        self._devices: list[Device] = []
        try:
            for profile in profiles:
                self._devices.append(Device(profile, folder, open_transport, n_threads))
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Device]:
        return iter(self._devices)

    @property
    def main(self) -> Device:
        """The one through whose file accuracy is measured."""
        return self._devices[0]

    def label(self, name: str, device: Device) -> str:
        """The name of something that every device has its own of."""
        return name if device is self.main else at_profile(name, device.profile.name)

    def close(self) -> None:
        """Ends all measuring processes."""
        for device in self._devices:
            device.close()

    def export(self, finished: Finished, example_inputs: tuple[Tensor, ...], name: str) -> Path:
        """Writes a network once in each format that the runtimes load; gives the main device's file.

        Raises:
            ExportError: It cannot be written in one of them.
        """
        for path, device in self._writers(name).items():
            device.artefacts.export(finished, example_inputs, path)
        return self.main.artefacts.path(name)

    def keep_main_file(self, name: str) -> None:
        """Removes what `export` wrote beside the main device's file.

        The structure is measured untrained, and later only the main file is written again: another one left beside it
        would pass for the trained network.
        """
        for path, device in self._writers(name).items():
            if device is not self.main:
                _remove(path)

    def remove(self, name: str) -> None:
        """Removes all that `export` wrote."""
        for path in self._writers(name):
            _remove(path)

    def anchor(self, references: Mapping[str, str], known_ms: Mapping[str, float] | None = None) -> dict[str, float]:
        """Anchors every device's times of the uncompressed network.

        Args:
            references: Precision class to the name under which `export` wrote the network in it.
            known_ms: What this gave in an earlier session, taken instead of measuring.

        Returns:
            Times in ms; `fp32` is the main device's, `fp32@board` another one's.
        """
        anchored: dict[str, float] = {}
        for device in self:
            paths = {kind: device.artefacts.path(name) for kind, name in references.items()}
            known = None if known_ms is None else {kind: known_ms[self.label(kind, device)] for kind in references}
            anchored |= {self.label(kind, device): ms for kind, ms in device.anchor(paths, known).items()}
        return anchored

    def read(self, finished: Finished, name: str, *, is_final: bool) -> Evaluation:
        """Executes and measures what `export` wrote, on one device after the other."""
        readings = [(d, d.read(d.artefacts.path(name), finished, is_final=is_final)) for d in self]
        others = readings[1:]
        details: dict[str, Any] = {}
        for device, reading in readings:
            details |= {self.label(fact, device): value for fact, value in reading.details.items()}
        return Evaluation(
            self._scores(readings, name),
            {},
            self.main.artefacts.path(name),
            readings[0][1].operator_times,
            reason=self._joined({device: reading.reason for device, reading in readings}),
            broken_limit=self._joined({device: reading.broken_limit for device, reading in readings}),
            details=details,
            operator_times_at={device.profile.name: reading.operator_times for device, reading in others},
        )

    def check_parity(
        self, finished: Finished, name: str, inputs: Tensor, main_session: Session
    ) -> tuple[dict[str, Score], str]:
        """Compares torch with what every device's runtime makes of what `export` wrote.

        Args:
            finished: The network in torch.
            name: Of its files.
            inputs: What both are given, shape (n, ...).
            main_session: The main device's file, loaded.

        Returns:
            A score `parity_error` for each device, and where one does not agree with torch, the reason in words.
        """
        scores, reasons = {}, {}
        for device in self:
            artefacts, label = device.artefacts, self.label("parity_error", device)
            session = main_session if device is self.main else artefacts.open(artefacts.path(name))
            parity = check_parity(finished, session, inputs)
            scores[label] = Score(label, parity.error, "", is_higher_better=False)
            reasons[device] = parity.broken
        return scores, self._joined(reasons)

    def _joined(self, reasons: Mapping[Device, str]) -> str:
        """What is wrong on each device as one line; with several devices it is said on which."""
        told = {device.profile.name: reason for device, reason in reasons.items() if reason}
        if len(self._devices) == 1:
            return "".join(told.values())
        return "; ".join(f"on {name}: {reason}" for name, reason in told.items())

    def _scores(self, readings: Sequence[tuple[Device, Reading]], name: str) -> dict[str, Score]:
        """All scores by name. The size of the very file that the main device loads is not told twice."""
        main_path = self.main.artefacts.path(name)
        found = {}
        for device, reading in readings:
            is_same_file = device is not self.main and device.artefacts.path(name) == main_path
            for score in reading.scores.values():
                if not (is_same_file and score.name == "size_bytes"):
                    labelled = score.renamed(self.label(score.name, device))
                    found[labelled.name] = labelled
        return found

    def _writers(self, name: str) -> dict[Path, Device]:
        """The first device of each format by the file that it writes: runtimes of one suffix write the same bytes."""
        writers: dict[Path, Device] = {}
        for device in self:
            writers.setdefault(device.artefacts.path(name), device)
        return writers


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    external_data(path).unlink(missing_ok=True)
