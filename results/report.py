"""One self-contained HTML file that answers which network of a run to take."""

from __future__ import annotations

from pathlib import Path
from string import Template

from . import report_figures as figures
from . import report_sections as sections
from . import why_sections
from .figures import draw_front, front_data
from .goal_words import storage_note
from .load import Run
from .markup import as_html
from .page import figure_slot, page_parts, read_resource, write_page
from .picker_data import picker_data
from .picker_section import picker_section


def write_report(run: Run, path: Path | str) -> Path:
    """Writes the report; it needs no network and no other file but the models it links to.

    Args:
        run: Finished or not.
        path: The HTML file; its directory is made where it is missing.

    Returns:
        The path.
    """
    page = Path(path)
    return write_page(_render(run, page.parent), page)


def _render(run: Run, page_directory: Path) -> str:
    task, hardware = run.manifest.get("task", "unknown task"), run.manifest.get("hardware", "unknown hardware")
    main = front_data(run.trials, run.goals)
    slot = figure_slot(draw_front(main), "front-figure", sections.front_label(main))
    front = figures.captioned("front", slot, sections.front_caption(main))
    return Template(read_resource("report.html")).substitute(
        **page_parts(["picker.js"]),
        task=as_html(task),
        hardware=as_html(hardware),
        summary=as_html(run.summary),
        facts=sections.facts(run),
        picker=picker_section(picker_data(run, page_directory), front),
        further_fronts=figures.further_fronts(run),
        storage=as_html(f" {note}." if (note := storage_note(run.goals)) else ""),
        front_table=sections.front_table(run, page_directory),
        course=sections.course(run),
        decisions=figures.decisions(run),
        why=why_sections.why_list(run),
        importance=figures.importance(run),
        growth=figures.growth(run),
        trust=figures.trust(run),
        profiles=figures.profiles(run),
        time=sections.time_bars(run),
        time_figure=figures.run_figure(run, "time", "Wall time by kind of trial and stage", sections.TIME_CAPTION),
        failed=sections.failed_table(run),
        settings=sections.settings(run),
        fingerprint=sections.fingerprint(run),
        profile=sections.profile(run),
    )
