"""An inspection as tables for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from ..evaluators.estimate import NEUTRAL, Answer, Estimate
from ..results.wording import word_bytes, word_ratio
from ..spaces import Choice, Site
from .console import open_console
from .inspection import Inspection, group_left_alone, group_sites, log10_configurations
from .limits import LimitAnswer

MAX_NAMED = 4
"""Names in one cell before the rest is only counted."""
MAX_CHOICES = 8
"""Choices in one cell before the middle ones are left out."""


def print_inspection(inspection: Inspection, *, shows_all: bool) -> None:
    """The size of the space, what it reaches, the answers to targets, the sites, and what is left alone and why."""
    console = open_console()
    network, space = inspection.network, inspection.space
    console.print(
        f"{len(network.layers)} layers, {network.macs / 1e6:.1f} M MACs; on {inspection.hardware}: "
        f"{len(space.sites)} sites, {word_power(log10_configurations(space))} combinations",
        style="bold",
    )
    _print_estimates(console, inspection)
    _print_sites(console, inspection, shows_all=shows_all)
    _print_left_alone(console, inspection, shows_all=shows_all)


def word_power(log10: float) -> str:
    """A number that may be astronomic, from its logarithm: `7.0e+21`."""
    exponent = int(log10)
    mantissa = round(10 ** (log10 - exponent), 1)
    return f"{mantissa:.1f}e+{exponent:02d}" if mantissa < 10 else f"1.0e+{exponent + 1:02d}"


def word_names(names: Sequence[str], *, shows_all: bool = False) -> str:
    """Names, the first few only: `a, b, c, d and 3 more`."""
    if shows_all or len(names) <= MAX_NAMED + 1:
        return ", ".join(names)
    return f"{', '.join(names[:MAX_NAMED])} and {len(names) - MAX_NAMED} more"


def word_choices(choices: Sequence[Choice], *, shows_all: bool = False) -> str:
    """Choices, the first and the last few only: `64 56 48 40 … 16 8 (12)`."""
    words = [str(choice) for choice in choices]
    if shows_all or len(words) <= MAX_CHOICES:
        return " ".join(words)
    return f"{' '.join(words[:4])} … {' '.join(words[-2:])} ({len(words)})"


def site_rows(sites: Sequence[Site]) -> list[tuple[str, str, str]]:
    """(technique, choices, layers) of sites that offer the same, as far as is shown of it."""
    rows: dict[tuple[str, str], list[str]] = {}
    for technique, choices, group in group_sites(sites):
        rows.setdefault((technique, word_choices(choices)), []).extend(_coupled(site) for site in group)
    return [(technique, choices, word_names(layers)) for (technique, choices), layers in rows.items()]


def word_legend(sites: Sequence[Site]) -> str:
    """What the short forms in the table of sites mean, of those that are in it."""
    ranked = [str(choice) for site in sites if site.technique == "rank" for choice in site.choices]
    ranks = sorted({choice.partition(":")[0] for choice in ranked if ":" in choice})
    has_fires = any(str(choice).startswith("fire:") for site in sites for choice in site.choices)
    meanings = {
        "on: the next activation goes, on:2: the next two": any(site.technique == "fold" for site in sites),
        f"{', '.join(f'{name}:R' for name in ranks)}: factors of rank R": bool(ranks),
        "fire:S: 1 x 1 to S channels, then 1 x 1 beside the kernel": has_fires,
        "w8: only the weights are in 8 bits": any("w8" in site.choices or "w4" in site.choices for site in sites),
        "(+2): with two more layers": any(len(site.layers) > 1 for site in sites),
    }
    return " · ".join(meaning for meaning, is_shown in meanings.items() if is_shown)


def word_answer(answer: Answer) -> str:
    """One target, what it asks and whether it can be met: `at most 1 ms: can be met (smallest: 0.412 ms)`."""
    asked, unit = _ASKED[answer.target]
    verdict = "can be met" if answer.can_be_met else "cannot be met"
    reached = (
        f"{answer.by}: {unit(answer.best)}" if answer.can_be_met else f"the best, {answer.by}: {unit(answer.best)}"
    )
    return f"{asked} {unit(answer.limit)}: {verdict} ({reached})"


def word_limit(answer: LimitAnswer) -> str:
    """One limit and whether it can be kept: `latency<=0.1ms: cannot be kept (the nearest is …)`."""
    return f"{answer.limit}: {_VERDICTS[answer.can_be_kept][0]} ({answer.explanation})"


_VERDICTS: dict[bool | None, tuple[str, str]] = {
    True: ("can be kept", "green"),
    False: ("cannot be kept", "red"),
    None: ("not known yet", "yellow"),
}


def _print_estimates(console: Console, inspection: Inspection) -> None:
    if inspection.not_estimated:
        console.print(f"No latency or size is estimated here: {inspection.not_estimated}", style="yellow")
        return
    neutral = next((each for each in inspection.estimates if each.name == NEUTRAL and not each.reason), None)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("configuration", no_wrap=True)
    for heading in ("MACs", "parameters", "latency ms", "faster", "file", "smaller"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in inspection.estimates:
        if not each.reason:
            table.add_row(*_cells(each, neutral))
    console.print(table)
    for each in inspection.estimates:
        if each.reason:
            console.print(f"{each.name}: not estimated: {each.reason}", style="yellow", markup=False)
    for answer in inspection.answers:
        console.print(word_answer(answer), style="green" if answer.can_be_met else "red")
    for limit in inspection.limits:
        console.print(word_limit(limit), style=_VERDICTS[limit.can_be_kept][1], markup=False)
    console.print("Estimated from brief measurements of untrained structures: they say nothing about accuracy.\n")


def _cells(each: Estimate, neutral: Estimate | None) -> list[str]:
    speedup = word_ratio(neutral.latency_ms / each.latency_ms) if neutral else ""
    smaller = word_ratio(neutral.size_bytes / each.size_bytes) if neutral else ""
    return [
        each.name,
        f"{each.macs / 1e6:.1f} M",
        f"{each.n_parameters / 1e6:.3f} M",
        f"{each.latency_ms:.3f}",
        speedup,
        word_bytes(each.size_bytes),
        smaller,
    ]


def _print_sites(console: Console, inspection: Inspection, *, shows_all: bool) -> None:
    table = _table("technique", "choices", "layers")
    if shows_all:
        for site in inspection.space.sites:
            table.add_row(site.technique, word_choices(site.choices, shows_all=True), ", ".join(site.layers))
    else:
        for technique, choices, layers in site_rows(inspection.space.sites):
            table.add_row(_once(table, technique), choices, layers)
    console.print(table)
    legend = word_legend(inspection.space.sites)
    if legend:
        console.print(f"{legend}\n", style="dim", markup=False)


def _table(*headings: str) -> Table:
    """Long names are broken, never cut: people copy them."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _once(table: Table, technique: str) -> str:
    """A technique's name, on the first of its rows only."""
    return "" if technique in table.columns[0].cells else technique


def _coupled(site: Site) -> str:
    """The layer that names a site, and how many others go with it."""
    return f"{site.layer} (+{len(site.layers) - 1})" if len(site.layers) > 1 else site.layer


def _print_left_alone(console: Console, inspection: Inspection, *, shows_all: bool) -> None:
    if not inspection.space.left_alone:
        return
    table = _table("technique", "left alone because", "where")
    for technique, reason, names in group_left_alone(inspection.space.left_alone):
        table.add_row(_once(table, technique), reason, word_names(names, shows_all=shows_all))
    console.print(table)


# What each target asks, and how its values are worded.
_ASKED: dict[str, tuple[str, Callable[[float], str]]] = {
    "max_latency_ms": ("at most", lambda value: f"{value:.3g} ms"),
    "min_speedup": ("at least", lambda value: f"{word_ratio(value)} faster"),
    "max_size_bytes": ("at most", word_bytes),
}
