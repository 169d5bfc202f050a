"""One self-contained HTML file with the fronts of a sweep, hardware by hardware."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from string import Template

from ..search.sweep_directory import SearchState
from .markup import Html, as_html, definitions, element, join, link, table
from .page import figure_slot, page_parts, read_resource, write_page
from .sweep import Sweep, SweepRow, sweep_rows
from .sweep_figure import draw_sweep_front
from .sweep_fronts import SweepFront, sweep_fronts
from .wording import word_ratio, word_seconds

HEAD = ("search", "state", "trials", "hypervolume", "faster", "smaller", "lost pt", "on test", "time")


def write_sweep_report(sweep: Sweep) -> Path:
    """Writes `fronts.html` beside the searches; it needs no network and no other file but the reports it links to.

    Args:
        sweep: Finished or not.

    Returns:
        The path.
    """
    return write_page(_render(sweep), sweep.directory.fronts)


def sweep_line(sweep: Sweep) -> str:
    """How far a sweep came, in one sentence: `3 of 4 searches finished, 1 failed`."""
    counts = Counter(each.state for each in sweep.searches)
    others = [
        f"{counts[state]} {state}" for state in SearchState if counts[state] and state is not SearchState.FINISHED
    ]
    noun = "search" if len(sweep.searches) == 1 else "searches"
    return ", ".join([f"{counts[SearchState.FINISHED]} of {len(sweep.searches)} {noun} finished", *others])


def sweep_facts(sweep: Sweep, rows: Sequence[SweepRow]) -> Html:
    """The line of facts below the headline."""
    return definitions(
        {
            "Searches": len(rows),
            "Side by side": sweep.plan.concurrency,
            "Time of all searches": word_seconds(sum(row.seconds or 0.0 for row in rows)),
            "Version": sweep.plan.version,
        }
    )


def row_cells(row: SweepRow) -> list[str]:
    """What a table shows of a search behind its name; empty where there is nothing yet."""
    return [
        row.state,
        f"{row.n_ended}/{row.n_planned}",
        "" if row.hypervolume is None else f"{row.hypervolume:.3f}",
        "" if row.speedup is None else word_ratio(row.speedup),
        "" if row.size_ratio is None else word_ratio(row.size_ratio),
        "" if row.accuracy_drop is None else f"{row.accuracy_drop:.2f}",
        "" if row.test_drop is None else f"{row.test_drop:.2f}",
        "" if row.seconds is None else word_seconds(row.seconds),
    ]


def _render(sweep: Sweep) -> str:
    rows = sweep_rows(sweep)
    return Template(read_resource("sweep.html")).substitute(
        **page_parts(),
        name=as_html(sweep.directory.root.name),
        headline=as_html(sweep_line(sweep)),
        facts=sweep_facts(sweep, rows),
        fronts=_sections(sweep_fronts(sweep)),
        table=table(HEAD, [_cells(sweep, row) for row in rows], "numbers"),
        failed=failed_searches(rows),
    )


def _cells(sweep: Sweep, row: SweepRow) -> list[object]:
    has_report = sweep.directory.run(row.name).report.is_file()
    return [link(f"{row.name}/report.html", row.name) if has_report else row.name, *row_cells(row)]


def _sections(fronts: Sequence[SweepFront]) -> Html:
    """One section for each hardware, with a figure for each task."""
    if not fronts:
        return element("section", element("p", "No front yet: no search has evaluated its baseline."))
    sections = []
    for hardware in dict.fromkeys(front.hardware for front in fronts):
        own = [(position, front) for position, front in enumerate(fronts) if front.hardware == hardware]
        figures = [_figure(front, f"sweep-front-{position}") for position, front in own]
        sections.append(element("section", join([element("h2", f"On {hardware}"), *figures])))
    return join(sections)


def _figure(front: SweepFront, name: str) -> Html:
    label = f"Accuracy against the main cost of {front.task} on {front.hardware}, by setting"
    drawn = figure_slot(draw_sweep_front(front), name, label)
    return element("figure", join([drawn, element("figcaption", front_caption(front))]))


def front_caption(front: SweepFront) -> str:
    """How to read the figure of one front, and what is not in it."""
    left_out = "; ".join(f"{search}: {reason}" for search, reason in front.left_out)
    return (
        f"{front.task}, after the {front.fidelity} fine-tune. Large points are in the front of all searches together; "
        f"small ones only in that of their own.{f' Not shown: {left_out}.' if left_out else ''}"
    )


def failed_searches(rows: Sequence[SweepRow]) -> Html:
    """A section with the reason of each; nothing where none failed."""
    failed = [(row.name, row.n_attempts, row.error) for row in rows if row.error]
    if not failed:
        return Html("")
    return element("section", join([element("h2", "What failed"), table(("search", "attempts", "reason"), failed)]))
