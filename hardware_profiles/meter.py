"""The measuring protocol: latency as a ratio to a reference, by bursts of both that alternate.

Times taken one after the other lie when a machine is busy or changes its clock rate; the ratio of two networks that
take turns every few tens of milliseconds does not. The latency is the median ratio times the reference's time, which is
measured once (`Meter.anchor`).
"""

from __future__ import annotations

import hashlib
import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from .errors import MeasurementError
from .intervals import is_converged, order_statistic_interval
from .profile import HardwareProfile, MeterProtocol
from .transport import Message, Transport, WorkerProcess

_LEASE_TIMEOUT_S = 600.0
_BURST_TIMEOUT_S = 120.0
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measured latency.

    Attributes:
        latency_ms: Time of one inference, in ms.
        low_ms: Lower bound of its 95 % interval, in ms. The interval is that of the ratio: the reference's own time is
            common to all measurements against it and not part of it.
        high_ms: Upper bound, in ms.
        n_pairs: Pairs of bursts it rests on.
        is_converged: Whether the interval is as narrow as was asked for.
        foreign_cpu: Fraction of the leased cores' time, during the bursts, that others used.
        n_requeues: How often it was repeated because of others.
        quality: "low" where it did not converge or was disturbed to the end.
        reference_ms: The reference's anchored time, in ms.
    """

    latency_ms: float
    low_ms: float
    high_ms: float
    n_pairs: int
    is_converged: bool
    foreign_cpu: float
    n_requeues: int
    quality: Literal["good", "low"]
    reference_ms: float


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What one round of bursts found.

    Attributes:
        logs: Natural logarithms: per pair of bursts of the ratio, or, with one network, per burst of the time in ms.
        is_converged: Whether their median is known well enough.
        foreign_cpu: Fraction of the cores' time that others used.
    """

    logs: tuple[float, ...]
    is_converged: bool
    foreign_cpu: float


class Meter:
    """Measures networks on one hardware profile; a context manager that ends the measuring process."""

    def __init__(self, profile: HardwareProfile, transport: Transport | None = None) -> None:
        """Describes the meter; nothing is started before the first measurement.

        Args:
            profile: What to measure on, and how.
            transport: Where the measuring happens, a fresh local process by default.
        """
        self._profile = profile
        self._transport = transport if transport is not None else WorkerProcess()
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

    def anchor(self, reference_path: Path, known_ms: float | None = None) -> float:
        """Gives the reference's absolute time: the median over undisturbed bursts, measured once per file.

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
            self._anchors[key] = math.exp(statistics.median(attempt.logs))
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
        low, high = order_statistic_interval(attempt.logs, _CONFIDENCE)
        is_quiet = attempt.foreign_cpu <= protocol.max_foreign_cpu
        return Measurement(
            latency_ms=reference_ms * math.exp(statistics.median(attempt.logs)),
            low_ms=reference_ms * math.exp(low),
            high_ms=reference_ms * math.exp(high),
            n_pairs=len(attempt.logs),
            is_converged=attempt.is_converged,
            foreign_cpu=attempt.foreign_cpu,
            n_requeues=n_requeues,
            quality="good" if attempt.is_converged and is_quiet else "low",
            reference_ms=reference_ms,
        )

    def _undisturbed(self, paths: list[Path], protocol: MeterProtocol) -> tuple[_Attempt, int]:
        """Repeats an attempt while others used the cores; gives the least disturbed one and the number of repeats."""
        n_requeues, best = 0, self._attempt(paths, protocol)
        while best.foreign_cpu > protocol.max_foreign_cpu and n_requeues < protocol.max_requeues:
            n_requeues += 1
            best = min(best, self._attempt(paths, protocol), key=lambda attempt: attempt.foreign_cpu)
        return best, n_requeues

    def _attempt(self, paths: list[Path], protocol: MeterProtocol) -> _Attempt:
        """Runs bursts of one network, or of two in turn, until the median is known or the limit is reached."""
        names = [str(path.resolve()) for path in paths]
        self._begin(names, protocol)
        logs: list[float] = []
        wall_s = foreign_s = 0.0
        has_converged = False
        while not has_converged and len(logs) < max(protocol.max_pairs, protocol.min_pairs):
            # Swapping the order cancels what a burst does to the next one.
            is_swapped = len(logs) % 2 == 1
            answer = self._bursts(names[::-1] if is_swapped else names, protocol)
            runs = answer["runs_ms"][::-1] if is_swapped else answer["runs_ms"]
            # The median of a burst's runs, not their mean: an interrupt of 5 ms would shift the mean of 20 by 12 %.
            first, *second = (math.log(statistics.median(runs_ms)) for runs_ms in runs)
            logs.append(first - sum(second))
            wall_s, foreign_s = wall_s + answer["wall_s"], foreign_s + answer["foreign_s"]
            has_converged = is_converged(logs, protocol.half_width, protocol.min_pairs, _CONFIDENCE)
        self._transport.request({"type": "end"})
        return _Attempt(tuple(logs), has_converged, min(1.0, max(0.0, foreign_s / wall_s)))

    def _begin(self, names: list[str], protocol: MeterProtocol) -> None:
        self._transport.request(
            {
                "type": "begin",
                "runtime": self._profile.runtime.name,
                "threads": self._profile.runtime.threads,
                "batch_size": self._profile.workload.batch_size,
                "paths": names,
                "warmup_ms": protocol.warmup_ms,
                "lease_timeout_s": _LEASE_TIMEOUT_S,
                "timeout_s": _LEASE_TIMEOUT_S + _BURST_TIMEOUT_S,
            }
        )

    def _bursts(self, names: list[str], protocol: MeterProtocol) -> Message:
        message = {"type": "bursts", "order": names, "burst_ms": protocol.burst_ms, "timeout_s": _BURST_TIMEOUT_S}
        return self._transport.request(message)


def _content_key(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise MeasurementError(
            f"a reference to measure must exist, got {path} ({error.strerror}): export it"
        ) from error
