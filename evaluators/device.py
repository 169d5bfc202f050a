"""One hardware profile at work: its files, its meter, and what it tells of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..hardware_profiles.fingerprint import Fingerprint
from ..hardware_profiles.measuring.meter import Meter
from ..hardware_profiles.profile import HardwareProfile
from ..hardware_profiles.runtimes import OperatorTime, executed_precision
from ..hardware_profiles.transport.transport import OpenTransport, as_profiled
from ..spaces import Finished
from .artefacts import Artefacts
from .deploy import misexecuted_layers
from .evaluator import Score
from .latency import LatencyEvaluator, latency_score, precision_class
from .on_device import broken_limit, device_details, energy_score, memory_score
from .size import size_score

PROFILE_REPEATS = 20


@dataclass(frozen=True, slots=True)
class Reading:
    """What a device told of one network.

    Attributes:
        scores: `latency_ms`, `size_bytes`, and `memory_bytes` and `energy_mj` where the device tells them.
        operator_times: The runtime's own time per operator.
        reason: Which layers did not execute as planned; empty where all did.
        broken_limit: Which limit of the device it breaks, empty where none.
        details: Facts for people.
    """

    scores: Mapping[str, Score]
    operator_times: tuple[OperatorTime, ...]
    reason: str
    broken_limit: str
    details: Mapping[str, Any]


class Device:
    """Measures the networks of one task on one hardware profile.

    Attributes:
        profile: What is measured on.
        machine: The fingerprint of what measures.
        artefacts: The files, in the format of the profile's runtime.
        latency: Set by `anchor`.
    """

    def __init__(
        self,
        profile: HardwareProfile,
        folder: Path,
        open_transport: OpenTransport = as_profiled,
        n_threads: int | None = None,
    ) -> None:
        """Asks the device what it is, so that one that is missing is said at once.

        Args:
            profile: What to measure on.
            folder: Of the exported files; made if missing.
            open_transport: The way to where the profile is measured.
            n_threads: For accuracy; all cores of this process where it is None.

        Raises:
            ProfileError: The device lacks what the profile asks for, or the runtime is not installed.
            MeasurementError: It cannot be reached.
        """
        self.profile = profile
        transport = open_transport(profile)
        self._meter = Meter(profile, transport)
        try:
            self.machine: Fingerprint = self._meter.fingerprint()
            is_here = transport is None and profile.host.is_local
            self.artefacts = Artefacts(folder, profile, is_here=is_here, n_threads=n_threads)
        except BaseException:
            self.close()
            raise
        self.latency: LatencyEvaluator | None = None

    def close(self) -> None:
        """Ends the measuring process."""
        self._meter.close()

    def anchor(self, references: Mapping[str, Path], known_ms: Mapping[str, float] | None) -> dict[str, float]:
        """Anchors the times of the uncompressed network, in ms by precision class; see `LatencyEvaluator`."""
        self.latency = LatencyEvaluator(self._meter, references, known_ms)
        return self.latency.anchors_ms

    def read(self, path: Path, finished: Finished, *, is_final: bool) -> Reading:
        """Executes and measures a network; `anchor` comes first.

        Args:
            path: Its file, as `artefacts` wrote it.
            finished: What is in it.
            is_final: By the profile's full protocol instead of the quick one.
        """
        assert self.latency is not None, "anchor() comes first"
        times = self._meter.profile_operators(path, PROFILE_REPEATS)
        measured = self.latency.measure(path, precision_class(finished.plan), is_final=is_final)
        missing = misexecuted_layers(finished, executed_precision(times))
        size = size_score(path)
        told = (latency_score(measured), size, memory_score(measured), energy_score(measured))
        return Reading(
            {score.name: score for score in told if score is not None},
            times,
            f"{len(missing)} layers did not execute as planned: {', '.join(missing)}" if missing else "",
            broken_limit(self.profile.limits, size.value, measured),
            device_details(finished.plan, missing, measured),
        )
