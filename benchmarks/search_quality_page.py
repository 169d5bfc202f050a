"""The scores of `benchmarks.search_quality` for people: a table in the terminal, curves as a figure."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.search_quality_figures import MARKS, Figures, Scores

N_DRAWN = 10
"""Methods per surface that have a curve: ours and the best others."""


def print_table(surface: str, figures: Figures) -> None:
    """The methods of a surface, best first, and its figures."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{surface}: share of the best-known hypervolume (%)", title_justify="left")
    for name in ("method", "seeds", *map(str, MARKS), "ask (CPU ms)"):
        table.add_column(name, justify="left" if name == "method" else "right")
    for method, each in figures["methods"].items():
        cells = [cell(each[f"hv{n}"]) for n in MARKS]
        table.add_row(method, str(each["n_seeds"]), *cells, str(each["ask_cpu_ms"]))
    console = Console(width=120)
    console.print(table)
    for name, value in figures.items():
        if name != "methods":
            console.print(f"  {name}: {value}", highlight=False)


def cell(spread: Figures | None) -> str:
    """Mean and deviation in percent; a dash where nothing got so far."""
    if spread is None:
        return "-"
    deviation = f" ± {100 * spread['std']:.1f}" if spread["n"] > 1 else ""
    return f"{100 * spread['mean']:.1f}{deviation}"


def curves_data(scores: Mapping[str, Scores], drawn: int = N_DRAWN) -> dict[str, dict[str, dict[str, list[float]]]]:
    """By surface and method: mean, lowest and highest share of the best known after each evaluation.

    Args:
        scores: By surface.
        drawn: The best so many methods by their last common score, ours always among them.
    """
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for surface, each in scores.items():
        bands = {method: _band(each.curves(method), each.best_known) for method in each.methods()}
        ranked = sorted(bands, key=lambda method: (method.startswith("ours"), bands[method]["mean"][-1:]), reverse=True)
        found[surface] = {method: bands[method] for method in ranked[:drawn] if bands[method]["mean"]}
    return found


def write_figure(scores: Mapping[str, Scores], path: Path) -> None:
    """Writes the curves as one HTML file, and what is drawn as JSON beside it."""
    data = curves_data(scores)
    path.with_suffix(".json").write_text(json.dumps(data) + "\n")
    draw(data).write_html(path, include_plotlyjs=True)


def draw(data: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]) -> Any:
    """A Plotly figure (which has no types) of what `curves_data` gave: one panel per surface."""
    from plotly.colors import qualitative
    from plotly.graph_objects import Figure, Scatter
    from plotly.subplots import make_subplots

    figure: Figure = make_subplots(
        rows=len(data) or 1, cols=1, subplot_titles=list(data), shared_xaxes=True, vertical_spacing=0.06
    )
    names = list(dict.fromkeys(method for methods in data.values() for method in methods))
    shown: set[str] = set()
    for row, methods in enumerate(data.values(), start=1):
        for method, band in methods.items():
            palette = qualitative.Dark24
            colour = palette[names.index(method) % len(palette)]
            x = list(range(1, len(band["mean"]) + 1))
            line = {"color": colour, "width": 3 if method == "ours" else 1.5}
            about = f"{method}<br>%{{x}} evaluations: %{{y:.1%}}<extra></extra>"
            group = {"legendgroup": method, "name": method}
            outline = Scatter(
                x=x + x[::-1],
                y=[*band["high"], *band["low"][::-1]],
                fill="toself",
                fillcolor=colour,
                opacity=0.12,
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
                **group,
            )
            mean = Scatter(x=x, y=band["mean"], line=line, hovertemplate=about, showlegend=method not in shown, **group)
            figure.add_trace(outline, row=row, col=1)
            figure.add_trace(mean, row=row, col=1)
            shown.add(method)
    figure.update_xaxes(title_text="evaluations", row=len(data) or 1, col=1)
    figure.update_yaxes(title_text="share of best known", tickformat=".0%", rangemode="tozero")
    figure.update_layout(template="plotly_white", height=380 * max(1, len(data)), margin={"t": 40, "b": 40})
    return figure


def _band(curves: Sequence[Sequence[float]], best_known: float) -> dict[str, list[float]]:
    """Mean, lowest and highest over the seeds, as far as all of them go."""
    length = min(map(len, curves)) if best_known > 0 else 0
    columns = [[each[position] / best_known for each in curves] for position in range(length)]
    return {
        "mean": [round(statistics.fmean(column), 5) for column in columns],
        "low": [round(min(column), 5) for column in columns],
        "high": [round(max(column), 5) for column in columns],
    }
