"""What this machine can do, found by trying: the facts that a profile for it needs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from ..errors import MeasurementError, ProfileError
from ..measuring.meter import Meter
from ..profile import Capabilities, HardwareProfile, MeterProtocol, RuntimeSettings, Target
from ..runtimes import Bits, check_runtime, runtime_facts
from .availability import RuntimePresence, find_runtimes
from .channel_grid import GridFinding, find_channel_grid
from .machine import Machine, read_machine
from .precision_gains import RuntimeFinding, SmallMeter, try_precisions
from .width_sweep import WIDTHS, sweep_widths

# Quick rather than sharp: the questions are of 5 %, and there are about a hundred of them.
QUICK_PROTOCOL = MeterProtocol(
    burst_ms=10.0, warmup_ms=10.0, min_pairs=6, max_pairs=20, pairs_per_load=20, half_width=0.015, max_requeues=0
)
NETWORKS = ("residual", "separable", "linear")

OpenMeter = Callable[[HardwareProfile], AbstractContextManager[SmallMeter]]


@dataclass(frozen=True, slots=True)
class Detection:
    """What was found on this machine.

    Attributes:
        machine: The machine itself.
        runtimes: All runtimes that are known, here or not.
        threads: Threads of one inference, in all that was measured.
        tried: The runtimes that were measured.
        failed: Why others that are installed could not be, by name.
        chosen: The runtime that the profile is for.
        grids: What the sweep over widths says, by precision.
        widths_ms: The sweep itself: time by width as a multiple of the widest's, by precision.
    """

    machine: Machine
    runtimes: tuple[RuntimePresence, ...]
    threads: int
    tried: tuple[RuntimeFinding, ...]
    failed: Mapping[str, str]
    chosen: RuntimeFinding
    grids: Mapping[Bits, GridFinding]
    widths_ms: Mapping[Bits, Mapping[int, float]]

    @property
    def channel_grid(self) -> int:
        """The grid that suits all precisions: each is a power of two, so the largest is a multiple of the others."""
        return max(each.grid for each in self.grids.values())


def detect(
    progress: Callable[[str, int, int], None],
    *,
    runtime: str | None = None,
    threads: int = 1,
    networks: Sequence[str] = NETWORKS,
    widths: Sequence[int] = WIDTHS,
    open_meter: OpenMeter = Meter,
) -> Detection:
    """Tries out this machine.

    Args:
        progress: Told what happens, and how many steps of how many are done.
        runtime: What to write a profile for; by default all installed ones that compute on the processor and open
            quickly are tried, and the fastest is taken.
        threads: Threads of one inference.
        networks: Names of `probe_networks`.
        widths: Widths of the sweep.
        open_meter: Makes the meter for a profile.

    Raises:
        ParefrontError: The runtime is unknown or not installed, there are fewer cores than threads, or nothing could be
            measured.
    """
    machine = read_machine()
    if not 1 <= threads <= len(machine.cores):
        raise ProfileError(
            f"--threads must be from 1 to the {len(machine.cores)} core(s) available, got {threads}: choose fewer"
        )
    if runtime is not None:
        check_runtime(runtime)
    presences = find_runtimes()
    steps = _Steps(_runtimes_to_try(runtime, presences), networks, widths, progress)
    with tempfile.TemporaryDirectory(prefix="parefront-detect-") as folder:
        tried, failed = _try_runtimes(steps, threads, networks, Path(folder), open_meter)
        if not tried:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
            raise MeasurementError(f"a runtime must be installed and able to run, got none ({reasons}): mend one")
        chosen = min(tried, key=lambda each: each.best_ms)
        times: dict[Bits, dict[int, float]] = {}
        with open_meter(quick_profile(chosen.name, threads)) as meter:
            for bits in dict.fromkeys((32, chosen.fastest)):
                times[bits] = sweep_widths(chosen.name, bits, meter, Path(folder), steps.next, widths)
    grids = {bits: find_channel_grid(found) for bits, found in times.items()}
    return Detection(machine, presences, threads, tried, failed, chosen, grids, times)


def quick_profile(runtime: str, threads: int) -> HardwareProfile:
    """The profile with which a runtime is tried out."""
    return HardwareProfile(
        schema_version=1,
        name=f"detect {runtime}",
        target=Target(device=runtime_facts(runtime).device),
        runtime=RuntimeSettings(name=runtime, threads=threads),
        capabilities=Capabilities(weight_bits=(32,)),
        protocol=QUICK_PROTOCOL,
    )


def _runtimes_to_try(runtime: str | None, presences: Sequence[RuntimePresence]) -> list[str]:
    if runtime is not None:
        return [runtime]
    facts = [runtime_facts(each.name) for each in presences if not each.missing]
    return [each.name for each in facts if each.device == "cpu" and not each.is_slow_to_open]


def _try_runtimes(
    steps: _Steps, threads: int, networks: Sequence[str], folder: Path, open_meter: OpenMeter
) -> tuple[tuple[RuntimeFinding, ...], dict[str, str]]:
    tried: list[RuntimeFinding] = []
    failed: dict[str, str] = {}
    for name in steps.runtimes:
        try:
            with open_meter(quick_profile(name, threads)) as meter:
                tried.append(try_precisions(name, meter, folder, networks, steps.next))
        except (ProfileError, MeasurementError) as error:
            failed[name] = str(error)
    return tuple(tried), failed


class _Steps:
    """Counts measurements, so that the time left can be told; the sweep is taken to be of two precisions."""

    def __init__(
        self,
        runtimes: Sequence[str],
        networks: Sequence[str],
        widths: Sequence[int],
        progress: Callable[[str, int, int], None],
    ) -> None:
        self.runtimes = tuple(runtimes)
        self._progress = progress
        n_precisions = sum(len(runtime_facts(name).weight_bits) for name in runtimes)
        self._total = n_precisions * len(networks) + 2 * len(widths)
        self._done = 0

    def next(self, what: str) -> None:
        """The next measurement begins."""
        del what  # One name for all steps: the display tells the time left per name.
        self._progress("trying out this machine", self._done, self._total)
        self._done += 1
