"""Which precisions really run faster on a runtime: small networks in each, measured against themselves in float32.

That a processor has an instruction and a runtime uses it does not make a network faster: converting between layers, or
a kernel that is less well tuned, can cost more than the arithmetic saves. So only what was measured to pay is offered.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..errors import ExportError, MeasurementError
from ..measuring.measurement import Measurement
from ..runtimes import Bits, OperatorTime, executed_precision, get_runtime, runtime_facts

WORTHWHILE = 0.95
"""The largest ratio to float32 at which a precision is offered: below, it gains more than a tie (DESIGN.md: 1.5 %) on
average, and enough to pay for the accuracy that it may cost."""
_REPEATS = 3


class SmallMeter(Protocol):
    """What is needed of a `Meter` here."""

    def anchor(self, reference_path: Path) -> float:
        """See `Meter.anchor`."""

    def measure(self, path: Path, reference_path: Path) -> Measurement:
        """See `Meter.measure`."""

    def profile_operators(self, path: Path, repeats: int) -> tuple[OperatorTime, ...]:
        """See `Meter.profile_operators`."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """The time of a network in some precision, as a multiple of its time in float32.

    Attributes:
        value: Median.
        low: Lower bound of its 95 % interval.
        high: Upper bound.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PrecisionFinding:
    """What was found of one precision on one runtime.

    Attributes:
        bits: The precision.
        ratios: By network.
        mean: Geometric mean over the networks, of the ratios and of their bounds; None where one could not be measured.
        reason: Why it is not offered, empty where it is.
    """

    bits: Bits
    ratios: Mapping[str, Ratio]
    mean: Ratio | None
    reason: str

    @property
    def is_offered(self) -> bool:
        """Whether it goes into a profile."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class RuntimeFinding:
    """What was found of one runtime.

    Attributes:
        name: The runtime.
        float_ms: Time of one inference in float32 by network, in ms.
        precisions: The precisions other than float32 that it executes at all.
    """

    name: str
    float_ms: Mapping[str, float]
    precisions: tuple[PrecisionFinding, ...]

    @property
    def offered(self) -> tuple[Bits, ...]:
        """What goes into a profile's `weight_bits`."""
        return (32, *(each.bits for each in self.precisions if each.is_offered))

    @property
    def fastest(self) -> Bits:
        """The precision with the smallest mean."""
        means = {each.bits: each.mean.value for each in self.precisions if each.is_offered and each.mean}
        return min(means, key=means.__getitem__, default=32)

    @property
    def best_ms(self) -> float:
        """Geometric mean over the networks of the time in the fastest precision, in ms."""
        means = [each.mean.value for each in self.precisions if each.is_offered and each.mean]
        return statistics.geometric_mean(self.float_ms.values()) * min(means, default=1.0)


def try_precisions(
    runtime: str, meter: SmallMeter, folder: Path, networks: Sequence[str], progress: Callable[[str], None]
) -> RuntimeFinding:
    """Measures the networks in each precision that a runtime executes at all.

    Args:
        runtime: Its name; it is installed.
        meter: Measures on it.
        folder: Takes the artefacts.
        networks: Names of `probe_networks`.
        progress: Told before each measurement what it is of.

    Raises:
        ParefrontError: A network cannot be measured in float32.
    """
    references = {network: _export(runtime, network, 32, folder)[0] for network in networks}
    float_ms = {}
    for network, path in references.items():
        progress(f"{runtime}, {network} in fp32")
        float_ms[network] = meter.anchor(path)
    findings = []
    for bits in runtime_facts(runtime).weight_bits:
        if bits != 32:
            ratios, failure = _try_one(runtime, bits, meter, folder, references, progress)
            findings.append(judge_precision(bits, ratios, len(networks), failure))
    return RuntimeFinding(runtime, float_ms, tuple(findings))


def _try_one(
    runtime: str,
    bits: Bits,
    meter: SmallMeter,
    folder: Path,
    references: Mapping[str, Path],
    progress: Callable[[str], None],
) -> tuple[dict[str, Ratio], str]:
    """The ratios of one precision, and why it failed, empty where it did not; a failure ends its measuring."""
    ratios: dict[str, Ratio] = {}
    failure = ""
    for network, reference in references.items():
        progress(f"{runtime}, {network} in {word_bits(bits)}")
        if failure:
            continue
        try:
            path, n_layers = _export(runtime, network, bits, folder)
            found = meter.measure(path, reference)
            n_executed = _n_executed(meter, path, bits)
        except (ExportError, MeasurementError) as error:
            failure = f"{network}: {error}"
            continue
        ratios[network] = _ratio(found)
        if 2 * n_executed < n_layers:
            failure = f"{network}: only {n_executed} of {n_layers} layers were executed in {word_bits(bits)}"
    return ratios, failure


def judge_precision(bits: Bits, ratios: Mapping[str, Ratio], n_networks: int, failure: str = "") -> PrecisionFinding:
    """Decides whether a precision is offered; pure.

    It is where every network could be measured in it, the geometric mean of the ratios is at most `WORTHWHILE`, and the
    geometric mean of their intervals' upper bounds is below 1, so that chance does not explain it.

    Args:
        bits: The precision.
        ratios: By network.
        n_networks: How many networks there are.
        failure: Why it could not be measured, or did not execute, empty where it did.
    """
    if failure or len(ratios) < n_networks:
        return PrecisionFinding(bits, ratios, None, failure or "not all networks could be measured")
    mean = Ratio(*(_geometric_mean([getattr(each, name) for each in ratios.values()]) for name in Ratio.__slots__))
    reason = ""
    if mean.value >= 1.0:
        reason = "slower than fp32"
    elif mean.value > WORTHWHILE:
        reason = f"gains less than {1 - WORTHWHILE:.0%}"
    elif mean.high >= 1.0:
        reason = "too noisy to say that it is faster"
    return PrecisionFinding(bits, ratios, mean, reason)


def word_bits(bits: Bits) -> str:
    """A precision as people call it."""
    if isinstance(bits, str):
        return bits
    return "fp32" if bits == 32 else f"int{bits}"


def word_precisions(bits: Sequence[Bits]) -> str:
    """Precisions as people call them: `fp32, int8`."""
    return ", ".join(map(word_bits, bits))


def _export(runtime: str, network: str, bits: Bits, folder: Path) -> tuple[Path, int]:
    """Writes a network, and gives the number of its layers in that precision."""
    from .probe_networks import probe_network, probe_plan  # Here, because it imports torch.

    module, inputs = probe_network(network)
    plan = probe_plan(module, inputs, bits)
    path = folder / f"{runtime}-{network}-{bits}{runtime_facts(runtime).suffix}"
    get_runtime(runtime).export(module, inputs, plan, path)
    return path, len(plan.layers) + len(plan.halves)


def _n_executed(meter: SmallMeter, path: Path, bits: Bits) -> int:
    """How many layers the runtime really computes in a precision."""
    executed = executed_precision(meter.profile_operators(path, _REPEATS))
    return len({8: executed.int8_layers, "bf16": executed.bf16_layers, "fp16": executed.fp16_layers}[bits])


def _ratio(found: Measurement) -> Ratio:
    return Ratio(*(value / found.reference_ms for value in (found.latency_ms, found.low_ms, found.high_ms)))


def _geometric_mean(values: Sequence[float]) -> float:
    """Also of bounds of intervals that are unknown, 0 and infinity."""
    return statistics.geometric_mean(values) if min(values) > 0 else 0.0
