"""Is a machine quiet enough now: a reference measured against itself, what that can tell apart, what disturbs it."""

from __future__ import annotations

import math
import shutil
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import MeasurementError
from ..host_check import check_host
from ..measuring.conditions import Conditions
from ..precision import PrecisionPlan
from ..profile import HardwareProfile
from ..runtimes import get_runtime, runtime_facts
from ..transport.transport import Transport, open_transport
from .disturbances import Activity, Disturbance, activity, find_disturbances
from .resolution import Resolution, chance_to_tell, cut_stretches, resolutions
from .self_pairs import SelfPairs, measure_self

NEEDED = 0.03
"""The difference that a machine must be able to tell apart to be called quiet, as a fraction."""
_LONGEST_S = 3600.0
_PROBE = "residual"
_UNKNOWN = Disturbance(
    "the bursts scatter, and nothing that this check knows explains it",
    "measure at another time: neighbours on a virtual machine share caches and memory without being seen",
)


@dataclass(frozen=True, slots=True)
class NoiseReport:
    """What `hardware check` found.

    Attributes:
        profile: The profile's name.
        pairs: What was measured, and around it.
        half_width: Median half-width of a measurement's 95 % interval, as a fraction of the ratio.
        pairs_needed: Median number of pairs that a measurement takes by the protocol.
        resolutions: Which differences can be told apart.
        false_alarms: The chance that a difference is seen where there is none.
        activity: What went on meanwhile.
        disturbances: What disturbs, and what helps.
    """

    profile: str
    pairs: SelfPairs
    half_width: float
    pairs_needed: int
    resolutions: tuple[Resolution, ...]
    false_alarms: float
    activity: Activity
    disturbances: tuple[Disturbance, ...]

    @property
    def conditions(self) -> Conditions:
        """The machine's settings."""
        return self.pairs.after

    @property
    def is_quiet(self) -> bool:
        """Whether a difference of `NEEDED` can be told apart now."""
        return _is_quiet(self.resolutions)

    def to_json(self) -> dict[str, Any]:
        """Gives plain data, without the pairs and the system's counters."""
        return {
            "profile": self.profile,
            "is_quiet": self.is_quiet,
            "resolutions": [{**asdict(each), "is_told_apart": each.is_told_apart} for each in self.resolutions],
            "false_alarms": self.false_alarms,
            "half_width": self.half_width if math.isfinite(self.half_width) else None,
            "pairs_needed": self.pairs_needed,
            "n_pairs": len(self.pairs.logs),
            "inference_ms": self.pairs.inference_ms,
            "seconds": self.pairs.seconds,
            "cores": list(self.pairs.cores),
            "is_realtime": self.pairs.is_realtime,
            "governor": self.conditions.governor,
            "is_turbo_on": self.conditions.is_turbo_on,
            "activity": asdict(self.activity),
            "disturbances": [asdict(each) for each in self.disturbances],
        }


def check_noise(
    profile: HardwareProfile,
    seconds: float,
    progress: Callable[[str, int, int], None],
    transport: Transport | None = None,
) -> NoiseReport:
    """Measures a small network against itself where the profile says, and says what that can tell apart.

    Args:
        profile: Where and how to measure; its stopping rule is what is judged.
        seconds: How long to measure, in s.
        progress: Told what happens, and how many seconds of how many have passed.
        transport: Instead of the profile's own.

    Raises:
        ParefrontError: The machine cannot be measured on, or `seconds` is not a possible time.
    """
    if not 0.0 < seconds <= _LONGEST_S:
        raise MeasurementError(f"seconds must be above 0 and at most {_LONGEST_S:g}, got {seconds:g}: 20 will do")
    check_host(profile)
    connection = open_transport(profile.host) if transport is None else transport
    with tempfile.TemporaryDirectory(prefix="parefront-check-") as folder:
        path = _export_reference(profile, Path(folder))
        # A second copy, loaded by itself: where a network lies in memory is part of the error of a measurement.
        copy = Path(shutil.copyfile(path, path.with_stem("copy")))
        try:
            names = (connection.place(path), connection.place(copy))
            what = "measuring the reference against itself"
            pairs = measure_self(connection, profile, names, seconds, lambda step, total: progress(what, step, total))
        finally:
            connection.close()
    return judge(profile, pairs)


def judge(profile: HardwareProfile, pairs: SelfPairs) -> NoiseReport:
    """Makes the report from what was measured; pure."""
    stretches = cut_stretches(pairs.logs, profile.protocol)
    told = resolutions(stretches)
    seen = activity(pairs.before, pairs.after, pairs.cores, pairs.foreign_cpu)
    disturbances = find_disturbances(
        seen,
        pairs.after,
        n_cores=max(1, len(pairs.after.busy_s)),
        is_realtime=pairs.is_realtime,
        max_foreign_cpu=profile.protocol.max_foreign_cpu,
    )
    return NoiseReport(
        profile=profile.name,
        pairs=pairs,
        half_width=statistics.median(each.half_width for each in stretches),
        pairs_needed=round(statistics.median(each.n_pairs for each in stretches)),
        resolutions=told,
        # A difference in either direction would be one.
        false_alarms=2 * chance_to_tell(stretches, 0.0),
        activity=seen,
        disturbances=disturbances or (() if _is_quiet(told) else (_UNKNOWN,)),
    )


def _is_quiet(told: tuple[Resolution, ...]) -> bool:
    return next(each.is_told_apart for each in told if each.difference == NEEDED)


def _export_reference(profile: HardwareProfile, folder: Path) -> Path:
    from .probe_networks import probe_network  # Here, because it imports torch.

    module, inputs = probe_network(_PROBE)
    path = folder / f"reference{runtime_facts(profile.runtime.name).suffix}"
    get_runtime(profile.runtime.name).export(module, inputs, PrecisionPlan.none(), path)
    return path
