"""The time of one network at many widths, for the channel grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..runtimes import Bits, get_runtime, runtime_facts
from .precision_gains import SmallMeter, word_bits

WIDTHS = tuple(range(32, 65))
"""Every width of an octave in which vectors of all usual lengths, 4 to 32, are full more than once."""


def sweep_widths(
    runtime: str,
    bits: Bits,
    meter: SmallMeter,
    folder: Path,
    progress: Callable[[str], None],
    widths: Sequence[int] = WIDTHS,
) -> dict[int, float]:
    """Measures `width_network` at each width, all against the widest.

    Args:
        runtime: Its name; it is installed.
        bits: The precision of all layers.
        meter: Measures on it.
        folder: Takes the artefacts.
        progress: Told before each measurement what it is of.
        widths: Numbers of channels.

    Returns:
        Time of one inference by width, as a multiple of that of the widest.

    Raises:
        ParefrontError: A network cannot be exported or measured.
    """
    times: dict[int, float] = {}
    reference = _export(runtime, max(widths), bits, folder)
    for width in widths:
        progress(f"{runtime}, {width} channels in {word_bits(bits)}")
        found = meter.measure(_export(runtime, width, bits, folder), reference)
        times[width] = found.latency_ms / found.reference_ms
    return times


def _export(runtime: str, width: int, bits: Bits, folder: Path) -> Path:
    from .probe_networks import probe_plan, width_network  # Here, because it imports torch.

    module, inputs = width_network(width)
    path = folder / f"{runtime}-width{width}-{bits}{runtime_facts(runtime).suffix}"
    get_runtime(runtime).export(module, inputs, probe_plan(module, inputs, bits), path)
    return path
