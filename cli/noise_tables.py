"""The outcome of `hardware check` for the terminal: what can be told apart, what went on, what disturbs."""

from __future__ import annotations

import math

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..hardware_profiles import HardwareProfile
from ..hardware_profiles.detection.noise import NEEDED, NoiseReport
from ..hardware_profiles.measuring.measurement import TIE
from .console import open_console


def print_noise(report: NoiseReport, profile: HardwareProfile) -> None:
    """The verdict first, then its grounds."""
    console = open_console()
    console.print(f"\n{verdict(report)}\n", style="bold green" if report.is_quiet else "bold red", markup=False)
    console.print(_resolution_table(report))
    console.print(f"A search takes differences below {TIE:.1%} as ties.\n", style="dim")
    console.print(_circumstances(report, profile))
    _print_disturbances(console, report)


def verdict(report: NoiseReport) -> str:
    """One sentence: quiet enough or not, and down to which difference."""
    told = [each.difference for each in report.resolutions if each.is_told_apart]
    if not told:
        return "Too noisy: not even 10 % can be told apart on this machine now."
    if min(told) > NEEDED:
        return f"Too noisy: only differences of {min(told):.0%} or more can be told apart on this machine now."
    return f"Quiet enough: differences of {min(told):.0%} or more can be told apart on this machine now."


def _resolution_table(report: NoiseReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("a difference of", justify="right")
    table.add_column("is told apart")
    table.add_column("chance per comparison", justify="right")
    for each in report.resolutions:
        style = "green" if each.is_told_apart else "red"
        table.add_row(
            f"{each.difference:.0%}", "yes" if each.is_told_apart else "no", f"{each.chance:.0%}", style=style
        )
    table.add_row("0%", "false alarm", f"{report.false_alarms:.0%}", style="dim")
    return table


def _circumstances(report: NoiseReport, profile: HardwareProfile) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(report, profile).items():
        table.add_row(name, value)
    return table


def _rows(report: NoiseReport, profile: HardwareProfile) -> dict[str, str]:
    pairs, seen = report.pairs, report.activity
    goal = f"{profile.protocol.half_width:.1%} or {profile.protocol.max_pairs} pairs"
    width = "unknown: too few pairs" if math.isinf(report.half_width) else f"± {report.half_width:.2%}"
    unknown = "the system does not say"
    turbo = {True: ", turbo on", False: ", turbo off", None: ", turbo unknown"}[report.conditions.is_turbo_on]
    return {
        "measured": f"{len(pairs.logs)} pairs of bursts in {pairs.seconds:.0f} s, {pairs.inference_ms:.3f} ms each",
        "one measurement": f"{width} after {report.pairs_needed} pairs (stops at {goal})",
        "leased cores": ", ".join(map(str, pairs.cores)),
        "real-time priority": "held" if pairs.is_realtime else "not permitted",
        "others on these cores": f"{seen.foreign_cpu:.1%} of the time during bursts",
        "stolen by the host": unknown if seen.steal is None else f"{seen.steal:.1%}",
        "clock rate": f"{report.conditions.governor or 'governor unknown: ' + unknown}{turbo}",
        "load before": unknown if seen.load is None else f"{seen.load:.2f}",
        "busiest meanwhile": ", ".join(f"{name} {share:.0%}" for name, share in seen.processes.items()) or "nobody",
    }


def _print_disturbances(console: Console, report: NoiseReport) -> None:
    if not report.disturbances:
        console.print("\nNothing disturbs that this check knows of.", style="green")
        return
    console.print("\nWhat disturbs:" if not report.is_quiet else "\nWhat could be better:")
    table = Table.grid(padding=(0, 1))
    for each in report.disturbances:
        table.add_row("-", Text(f"{each.what};\nremedy: {each.remedy}"))
    console.print(table)
