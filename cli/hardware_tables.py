"""Profiles, and what was detected, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from ..hardware_profiles import HardwareProfile, load_profile, profile_names
from ..hardware_profiles.detection.availability import missing_here
from ..hardware_profiles.detection.detect import Detection
from ..hardware_profiles.detection.machine import Machine
from ..hardware_profiles.detection.precision_gains import PrecisionFinding, RuntimeFinding, word_bits, word_precisions
from .console import open_console


def list_records() -> list[dict[str, Any]]:
    """The shipped profiles as plain data."""
    records = []
    for name in profile_names():
        profile = load_profile(name)
        records.append(
            {
                "name": name,
                "description": profile.description,
                "runtime": profile.runtime.name,
                "threads": profile.runtime.threads,
                "batch_size": profile.workload.batch_size,
                "precisions": [word_bits(bits) for bits in profile.capabilities.weight_bits],
                "missing": list(missing_here(profile)),
            }
        )
    return records


def print_profiles(records: Sequence[Mapping[str, Any]]) -> None:
    """One row for each; what cannot be used here is dim, with the reason below."""
    console = open_console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("profile", "runtime", "threads", "batch", "precisions"):
        table.add_column(heading, no_wrap=True, justify="right" if heading in ("threads", "batch") else "left")
    lacking: dict[str, list[str]] = {}
    for record in records:
        cells = (record["name"], record["runtime"], str(record["threads"]), str(record["batch_size"]))
        table.add_row(*cells, " ".join(record["precisions"]), style="dim" if record["missing"] else None)
        for missing in record["missing"]:
            lacking.setdefault(missing, []).append(record["name"])
    console.print(table)
    if lacking:
        console.print("Missing here:")
    for missing, names in lacking.items():
        console.print(f"- {', '.join(names)}: {missing}", markup=False)


def print_detection(detection: Detection, profile: HardwareProfile, out: Path | None) -> None:
    """The machine, its runtimes, the precisions of each, the channel grid, and what was written."""
    console = open_console()
    console.print(_machine_table(detection.machine))
    console.print(_runtime_table(detection))
    console.print(_precision_table(detection.tried))
    for bits, found in detection.grids.items():
        widths = detection.widths_ms[bits]
        console.print(
            f"Channels in {word_bits(bits)}: multiples of {found.grid}; widths between them, from {min(widths)} to "
            f"{max(widths)}, take up to {found.worst_off_grid:.0%} more than in proportion.",
            markup=False,
        )
    capabilities = profile.capabilities
    console.print(
        f"\nFor this machine: {profile.runtime.name}, {profile.runtime.threads} thread(s), "
        f"{word_precisions(capabilities.weight_bits)}, channels in multiples of {capabilities.channel_grid}.",
        style="bold",
        markup=False,
    )
    if out is None:
        console.print("Nothing was written: --out my-machine.yaml writes it as a profile.")
    else:
        console.print(f"Written: {out}; use it with --hardware {out}", markup=False, soft_wrap=True)


def _machine_table(machine: Machine) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    unknown = "the system does not say"
    siblings = machine.sibling_groups
    shared = "; ".join("+".join(map(str, group)) for group in siblings or ())
    caches = [
        f"L{c.level} {c.kind} {_word_kib(c.size_bytes)}{f' shared by {c.n_sharing}' if c.n_sharing > 1 else ''}"
        for c in machine.caches
    ]
    rows = {
        "processor": machine.cpu_model,
        "instruction sets": " ".join(machine.isa_flags) or unknown,
        "cores": f"{len(machine.cores)} (number {', '.join(map(str, machine.cores))})",
        "sharing a core (SMT)": unknown if siblings is None else shared or "none",
        "caches": ", ".join(caches) or unknown,
        "memory": unknown if machine.memory_bytes is None else f"{machine.memory_bytes / 2**30:.1f} GiB",
        "energy counter (RAPL)": "present" if machine.has_energy_counter else "absent: no energy is measured",
        "real-time priority": "permitted" if machine.is_realtime_permitted else "not permitted: see `hardware check`",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _runtime_table(detection: Detection) -> Table:
    """Times are geometric means over the small networks, in the fastest precision that pays."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("runtime", "version", "ms", "in"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "ms" else "left")
    table.add_column("", overflow="fold")
    tried = {each.name: each for each in detection.tried}
    for each in detection.runtimes:
        found = tried.get(each.name)
        note = each.missing or detection.failed.get(each.name, "" if found else "not tried")
        table.add_row(
            each.name,
            _short(each.version or ""),
            f"{found.best_ms:.3f}" if found else "",
            word_bits(found.fastest) if found else "",
            "the fastest" if found is detection.chosen and len(tried) > 1 else note,
            style="bold green" if found is detection.chosen else None,
        )
    return table


def _precision_table(tried: Sequence[RuntimeFinding]) -> Table:
    """Times as multiples of fp32's."""
    networks = list(dict.fromkeys(network for each in tried for network in each.float_ms))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Time as a multiple of fp32", title_justify="left")
    table.add_column("runtime", no_wrap=True)
    table.add_column("in", no_wrap=True)
    for network in networks:
        table.add_column(network, justify="right", no_wrap=True)
    table.add_column("mean", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for each in tried:
        for found in each.precisions:
            ratios = [f"{found.ratios[network].value:.2f}" if network in found.ratios else "" for network in networks]
            table.add_row(each.name, word_bits(found.bits), *ratios, _mean(found), found.reason or "offered")
    return table


def _mean(found: PrecisionFinding) -> str:
    mean = found.mean
    return "" if mean is None else f"{mean.value:.2f} ± {(mean.high - mean.low) / 2:.2f}"


def _short(version: str) -> str:
    """A version without the build behind it."""
    return version.partition("-")[0].partition("+")[0]


def _word_kib(size_bytes: int) -> str:
    return f"{size_bytes // 2**20} MiB" if size_bytes >= 2**20 else f"{size_bytes // 2**10} KiB"
