"""The measuring protocol: latency as a ratio to a reference, by bursts of both that alternate.

Times taken one after the other lie when a machine is busy or changes its clock rate; the ratio of two networks that
take turns every few tens of milliseconds does not. The latency is the central ratio times the reference's time, which
is measured once (`Meter.anchor`). docs/measuring.md tells why each part is there, with figures.
"""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import MeasurementError
from ..fingerprint import Fingerprint
from ..host_check import check_machine
from ..profile import HardwareProfile, MeterProtocol
from ..runtimes import OperatorTime
from ..transport.transport import Transport, open_transport
from .bursts import LEASE_TIMEOUT_S, REQUEST_TIMEOUT_S, Bursts
from .intervals import centre, is_converged, signed_rank_interval
from .measurement import Measurement

_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What one round of bursts found.

    Attributes:
        logs: Natural logarithms: per pair of bursts of the ratio, or, with one network, per burst of the time in ms.
        last_logs: Per burst of the last network's time in ms, the reference's.
        is_converged: Whether their centre is known well enough.
        bursts: What else they tell.
    """

    logs: tuple[float, ...]
    last_logs: tuple[float, ...]
    is_converged: bool
    bursts: Bursts

    @property
    def disturbance(self) -> float:
        """Fraction of the cores' time that was not ours."""
        return self.bursts.foreign_cpu + self.bursts.steal


class Meter:
    """Measures networks on one hardware profile; a context manager that ends the measuring process."""

    def __init__(self, profile: HardwareProfile, transport: Transport | None = None) -> None:
        """Describes the meter; nothing is started before the first measurement.

        Args:
            profile: What to measure on, and how.
            transport: Where the measuring happens, the profile's host by default.
        """
        self._profile = profile
        self._transport = transport if transport is not None else open_transport(profile.host)
        self._anchors: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the measuring process."""
        self._transport.close()

    def fingerprint(self) -> Fingerprint:
        """Tells what machine measures, after checking that it has what the profile asks for.

        Raises:
            ProfileError: It lacks something that the profile asks for, or is another than the profile was written for.
            MeasurementError: It cannot be reached, or does not have the runtime.
        """
        answer = self._transport.request({"type": "describe", "runtime": self._profile.runtime.name})
        machine = Fingerprint.from_json(answer["fingerprint"])
        check_machine(self._profile, machine, answer["n_cores"])
        return machine

    def anchor(self, reference_path: Path, known_ms: float | None = None) -> float:
        """Gives the reference's absolute time: the centre over undisturbed bursts, measured once per file.

        Args:
            reference_path: The reference network's file.
            known_ms: Its time from an earlier session, in ms, taken instead of measuring: a resumed search then goes on
                with the same anchor, and its latencies stay comparable.

        Returns:
            The time of one inference, in ms.

        Raises:
            MeasurementError: The file cannot be run.
        """
        key = _content_key(reference_path)
        if known_ms is not None:
            self._anchors[key] = known_ms
        if key not in self._anchors:
            attempt, _ = self._undisturbed([reference_path], self._profile.protocol)
            self._anchors[key] = math.exp(centre(attempt.logs))
        return self._anchors[key]

    def measure(
        self,
        path: Path,
        reference_path: Path,
        *,
        max_pairs: int | None = None,
        half_width: float | None = None,
    ) -> Measurement:
        """Measures a network against a reference.

        Args:
            path: The network's file.
            reference_path: The reference's, of the same precision class and input shape.
            max_pairs: Instead of the profile's, for a quicker look; at least the profile's `min_pairs` are run anyway.
            half_width: Instead of the profile's, as a fraction of the ratio.

        Raises:
            MeasurementError: A file cannot be run, the cores did not become free, or the measuring process died.
        """
        changes = {"max_pairs": max_pairs, "half_width": half_width}
        protocol = self._profile.protocol.model_copy(update={k: v for k, v in changes.items() if v is not None})
        reference_ms = self.anchor(reference_path)
        attempt, n_requeues = self._undisturbed([path, reference_path], protocol)
        low, high = signed_rank_interval(attempt.logs, _CONFIDENCE)
        is_quiet = attempt.disturbance <= protocol.max_foreign_cpu
        memory_bytes, memory_low_bytes, memory_high_bytes = _median_and_range(attempt.bursts.memory_bytes(0))
        energy_mj, energy_low_mj, energy_high_mj = _centre_and_interval([1e3 * j for j in attempt.bursts.joules(0)])
        return Measurement(
            latency_ms=reference_ms * math.exp(centre(attempt.logs)),
            low_ms=reference_ms * math.exp(low),
            high_ms=reference_ms * math.exp(high),
            n_pairs=len(attempt.logs),
            is_converged=attempt.is_converged,
            foreign_cpu=attempt.bursts.foreign_cpu,
            steal=attempt.bursts.steal,
            is_realtime=attempt.bursts.is_realtime,
            n_requeues=n_requeues,
            quality="good" if attempt.is_converged and is_quiet else "low",
            reference_ms=reference_ms,
            reference_drift=math.exp(centre(attempt.last_logs)) / reference_ms - 1.0,
            batch_size=self._profile.workload.batch_size,
            memory_bytes=memory_bytes,
            energy_mj=energy_mj,
            memory_low_bytes=memory_low_bytes,
            memory_high_bytes=memory_high_bytes,
            energy_low_mj=energy_low_mj,
            energy_high_mj=energy_high_mj,
        )

    def profile_operators(self, path: Path, repeats: int) -> tuple[OperatorTime, ...]:
        """Times every operator of a network where it is measured, in execution order: median over the repeats.

        Raises:
            MeasurementError: The file cannot be run.
        """
        answer = self._transport.request(
            {
                "type": "profile",
                "runtime": self._profile.runtime.name,
                "threads": self._profile.runtime.threads,
                "batch_size": self._profile.workload.batch_size,
                "path": self._transport.place(path),
                "repeats": repeats,
                "lease_timeout_s": LEASE_TIMEOUT_S,
                "timeout_s": LEASE_TIMEOUT_S + REQUEST_TIMEOUT_S,
            }
        )
        return tuple(OperatorTime(*fields) for fields in answer["operators"])

    def _undisturbed(self, paths: list[Path], protocol: MeterProtocol) -> tuple[_Attempt, int]:
        """Repeats an attempt while others used the cores; gives the least disturbed one and the number of repeats."""
        n_requeues, best = 0, self._attempt(paths, protocol)
        while best.disturbance > protocol.max_foreign_cpu and n_requeues < protocol.max_requeues:
            n_requeues += 1
            best = min(best, self._attempt(paths, protocol), key=lambda attempt: attempt.disturbance)
        return best, n_requeues

    def _attempt(self, paths: list[Path], protocol: MeterProtocol) -> _Attempt:
        """Runs bursts of one network, or of two in turn, until the centre is known or the limit is reached."""
        bursts = Bursts(self._transport, self._profile, [self._transport.place(path) for path in paths], protocol)
        logs: list[float] = []
        last_logs: list[float] = []
        has_converged = False
        while not has_converged and len(logs) < max(protocol.max_pairs, protocol.min_pairs):
            if logs and len(logs) % protocol.pairs_per_load == 0:
                bursts.reload()
            times = [math.log(time_ms) for time_ms in bursts.turn(is_swapped=len(logs) % 2 == 1)]
            logs.append(times[0] - sum(times[1:]))
            last_logs.append(times[-1])
            has_converged = is_converged(logs, protocol.half_width, protocol.min_pairs, _CONFIDENCE)
        bursts.end()
        return _Attempt(tuple(logs), tuple(last_logs), has_converged, bursts)


def _median_and_range(values: Sequence[int]) -> tuple[int | None, int | None, int | None]:
    return (round(statistics.median(values)), min(values), max(values)) if values else (None, None, None)


def _centre_and_interval(values: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    return (centre(values), *signed_rank_interval(values, _CONFIDENCE)) if values else (None, None, None)


def _content_key(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise MeasurementError(
            f"a reference to measure must exist, got {path} ({error.strerror}): export it"
        ) from error
