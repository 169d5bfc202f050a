"""What the dashboard's server answers: one function for each part of the page, from the address and the runs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from dash import no_update

from .comparison_data import compare_runs
from .comparison_figure import draw_comparison
from .dashboard_address import Selection, read_address
from .dashboard_figures import figure_choices, further_figure, plain_figure, what_changed
from .dashboard_front import live_front
from .dashboard_layout import ALL, ONE, SWEEP, all_runs, comparison, one_run, one_sweep
from .dashboard_listing import listing, shown_name
from .dashboard_markup import to_components
from .dashboard_run import head, read_limits, trials_table
from .dashboard_sweep import sweep_page
from .dashboard_trial import trial_layers, trial_panel
from .figure_style import message, new_figure
from .markup import element
from .run_catalogue import RunCatalogue
from .run_list import UNREADABLE, word_problem

MAX_KEPT = 8
"""Figures that are remembered, to tell a browser only what changed since."""

Answer = tuple[Any, ...]
"""Values for a callback's outputs; Dash has no types of its own."""


class Updates:
    """Answers for one folder of runs."""

    def __init__(self, catalogue: RunCatalogue) -> None:
        """Reads nothing yet."""
        self._catalogue = catalogue
        self._figures: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def revision(self, search: str | None, known: str | None) -> Any:
        """What changes when the page must: the address, or the files behind it; nothing where `known` is that."""
        selection = read_address(search)
        try:
            stamp = self._catalogue.stamp(selection.run or None, selection.sweep or None)
        except UNREADABLE as error:
            stamp = word_problem(error)
        new = f"{selection.address}\n{stamp}"
        return no_update if new == known else new

    def page(self, revision: str, kind: str) -> Any:
        """The places of the page that is wanted; nothing where the browser has them."""
        wanted = _kind(_selection(revision))
        return no_update if wanted == kind else _PAGES[wanted]()

    def all_runs(self, revision: str | None) -> Any:
        """The list of all runs; nothing on the page of one."""
        selection = _selection(revision)
        if revision is None or _kind(selection) != ALL:
            return no_update
        known = self._catalogue
        rows = to_components(listing(known.folder, known.lines(), known.sweeps(), selection))
        return [*rows, "Add another run to see both fronts." if len(selection.compare) == 1 else ""]

    def one_sweep(self, revision: str | None) -> Any:
        """All of a sweep's page; nothing on the others."""
        selection = _selection(revision)
        if _kind(selection) != SWEEP:
            return no_update
        try:
            return sweep_page(self._catalogue.sweep(selection.sweep), selection.sweep)
        except UNREADABLE as error:
            return _refusal(error)

    def comparison_place(self, revision: str | None, shown: object) -> Any:
        """The place of a comparison where there are runs to compare, else none; nothing where that is so already."""
        is_wanted = _has_comparison(_selection(revision))
        if is_wanted == bool(shown):
            return no_update
        return [comparison()] if is_wanted else []

    def comparison(self, revision: str) -> Answer:
        """The figure of several fronts, and what is to be said of it."""
        selection = _selection(revision)
        if not _has_comparison(selection):
            return no_update, no_update
        try:
            runs = [self._catalogue.run(name) for name in selection.compare]
            data = compare_runs(runs)
        except UNREADABLE as error:
            return _said(word_problem(error)), ""
        missing = len(runs) - len(data.fronts)
        left_out = [f"Without a front yet, and so not shown: {missing} of {len(runs)}."] if missing else []
        notes = [*([f"{data.caution}."] if data.caution else []), *left_out]
        # Below the picture instead of in it, where a narrow page would cut it off.
        figure = plain_figure(draw_comparison(replace(data, caution="")))
        return figure, " ".join(notes)

    def one_run(self, revision: str, drawn: str | None) -> Answer:
        """One run: its head, whether its body is hidden; the front, what is noted below, and which revision it is.

        Last what is said of the limits, and the trials.

        Args:
            revision: What the page shows.
            drawn: The revision whose front the browser has.
        """
        selection = _selection(revision)
        if not selection.run:
            return (no_update,) * 7
        try:
            run, status = self._catalogue.run(selection.run), self._catalogue.status(selection.run)
            within = read_limits(selection.limits, run)
            trials = within.keep(run.trials)
            picture = live_front(run, trials, selection.trial)
            top = to_components(head(run, shown_name(selection.run), status))
            table = to_components(trials_table(run, trials, selection))
        except UNREADABLE as error:
            return _refusal(error), True, *[no_update] * 5
        figure = self._told("front", revision, drawn, plain_figure(picture.figure))
        said = within.problem or (f"{len(trials):,} of {len(run.trials):,} trials" if within.limits else "")
        return top, False, figure, picture.left_out, revision, said, table

    def trial(self, revision: str) -> Answer:
        """The panel of the chosen trial, and its layers with the log."""
        selection = _selection(revision)
        if not selection.run:
            return no_update, no_update
        try:
            run = self._catalogue.run(selection.run)
            chosen = next((each for each in run.trials if each.number == selection.trial), None)
            log = self._catalogue.log(selection.run, chosen) if chosen is not None else []
            panel, layers = trial_panel(run, selection, log), trial_layers(run, selection, log)
        except UNREADABLE as error:
            return _refusal(error), []
        return to_components(panel), to_components(layers)

    def further(self, revision: str) -> Answer:
        """Links to the further figures, the one that is shown, and the style of its place."""
        selection = _selection(revision)
        if not selection.run:
            return no_update, no_update, no_update
        try:
            run = self._catalogue.run(selection.run)
            content = plain_figure(further_figure(run, selection.figure, selection.trial))
        except UNREADABLE as error:
            content = _said(word_problem(error))
        links = to_components(figure_choices(selection))
        return links, content, {"height": f"{content['layout'].get('height', 320)}px"}

    def _told(self, name: str, revision: str, drawn: str | None, figure: dict[str, Any]) -> Any:
        """The figure for a browser that has an earlier one: only what changed, where that is remembered."""
        before = self._figures.get(f"{name}\n{drawn}") if _run(drawn) == _run(revision) else None
        self._figures[f"{name}\n{revision}"] = figure
        while len(self._figures) > MAX_KEPT:
            self._figures.popitem(last=False)
        return what_changed(before, figure)


def _selection(revision: str | None) -> Selection:
    return read_address((revision or "").partition("\n")[0].removeprefix("/"))


_PAGES: Mapping[str, Callable[[], list[Any]]] = {ALL: all_runs, ONE: one_run, SWEEP: one_sweep}


def _kind(selection: Selection) -> str:
    """Of the page."""
    if selection.run:
        return ONE
    return SWEEP if selection.sweep else ALL


def _has_comparison(selection: Selection) -> bool:
    return _kind(selection) == ALL and len(selection.compare) > 1


def _run(revision: str | None) -> str | None:
    return None if revision is None else _selection(revision).run


def _refusal(error: Exception) -> list[Any]:
    return to_components(element("p", word_problem(error), "note warn"))


def _said(text: str) -> dict[str, Any]:
    return plain_figure(message(new_figure(140), text))
