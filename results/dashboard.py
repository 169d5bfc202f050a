"""The dashboard: a Dash app over the runs of a folder, which follows those that still run."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

from dash import Dash, Input, Output, State, ctx, no_update, set_props

from .dashboard_address import read_address
from .dashboard_layout import THEME, TITLE, page_layout, page_template
from .dashboard_server import add_downloads, guard
from .dashboard_updates import Updates
from .run_catalogue import RunCatalogue

INTERVAL_MS = 2000


def build_dashboard(
    folder: Path, interval_ms: int = INTERVAL_MS, names: tuple[str, ...] | None = None, *, reads_ahead: bool = False
) -> Dash:
    """The app, which is not served yet.

    Args:
        folder: With runs in it, or itself a run.
        interval_ms: How often a browser asks for what is new.
        names: Of the host, as browsers may write them; None for all.
        reads_ahead: Whether the runs are read at once, beside all else, and not when somebody looks.
    """
    catalogue = RunCatalogue(folder)
    if reads_ahead:
        Thread(target=catalogue.read_ahead, daemon=True).start()
    app = Dash(
        __name__,
        title=TITLE,
        update_title="",  # or the title would change with every look for news
        include_assets_files=False,
        serve_locally=True,
        enable_mcp=False,
        index_string=page_template(),
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
        # What shows pictures comes into the page when one is asked for: a browser loads Plotly with the first.
        suppress_callback_exceptions=True,
    )
    app.layout = page_layout(interval_ms)
    _connect(app, Updates(catalogue))
    add_downloads(app.server, catalogue)
    guard(app, names)
    return app


def _connect(app: Dash, updates: Updates) -> None:
    """Says which part of the page is answered by what."""
    address, revision = Input("address", "search"), Input("revision", "data")
    app.callback(Output("revision", "data"), Input("tick", "n_intervals"), address, State("revision", "data"))(
        lambda _, search, known: updates.revision(search, known)
    )
    app.callback(Output("page", "children"), revision, State("kind", "data"), prevent_initial_call=True)(updates.page)
    app.callback(Output("runs", "children"), revision)(updates.all_runs)
    app.callback(Output("sweep", "children"), revision)(updates.one_sweep)
    app.callback(Output("comparison-place", "children"), revision, State("comparison-place", "children"))(
        updates.comparison_place
    )
    app.callback(Output("comparison", "figure"), Output("caution", "children"), revision)(updates.comparison)
    app.callback(
        Output("head", "children"),
        Output("body", "hidden"),
        Output("front", "figure"),
        Output("front-note", "children"),
        Output("drawn", "data"),
        Output("within", "children"),
        Output("trials", "children"),
        revision,
        State("drawn", "data"),
    )(updates.one_run)
    app.callback(Output("trial", "children"), Output("layers", "children"), revision)(updates.trial)
    app.callback(
        Output("figure-names", "children"),
        Output("further", "figure"),
        Output("further", "style"),
        Input("drawn", "data"),  # after the front, which readers look at first
        prevent_initial_call=True,
    )(updates.further)
    # One callback for both ways: an address that is opened fills the field, and the field makes a new address.
    app.callback(Output("limits", "value"), Input("front", "clickData"), Input("limits", "value"), address)(_choose)
    app.clientside_callback(THEME, Output("theme", "children"), Input("theme", "n_clicks"))  # type: ignore[no-untyped-call]


def _choose(clicked: dict[str, list[dict[str, object]]] | None, limits: str | None, search: str | None) -> object:
    """Goes to the address of what a reader clicked at or wrote; gives the limits of an address that was opened."""
    now = read_address(search)
    if ctx.triggered_id == "front" and clicked:
        number = clicked["points"][0].get("customdata")
        new = now.but(trial=number) if isinstance(number, int) else now
    elif ctx.triggered_id == "limits":
        new = now.but(limits=(limits or "").strip(), page=1)
    else:
        return now.limits
    if new != now:
        # Not as an output, or all that shows an address would wait for the pictures, which this listens to.
        set_props("address", {"search": new.address.removeprefix("/")})
    return no_update
