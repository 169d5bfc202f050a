"""Writes the figures of a run as files: pictures for papers and slides, or pages to be turned and zoomed."""

from __future__ import annotations

from pathlib import Path

import plotly.graph_objects as go

from ..hardware_profiles.errors import unknown_name
from .load import ResultsError, Run

FORMATS = ("png", "svg", "html")
WIDTH = 1100
"""Of a picture, in pixels; a PNG has twice as many, so that it prints well."""
_DARK_INK = "#2b3138"


def write_figures(run: Run, directory: Path, file_format: str) -> list[Path]:
    """Writes every figure that the run has something for.

    Args:
        run: Finished or not.
        directory: Made where it is missing.
        file_format: One of `FORMATS`.

    Returns:
        The files.

    Raises:
        ResultsError: An unknown format, or nothing here can make pictures.
    """
    if file_format not in FORMATS:
        raise ResultsError(unknown_name("format of figures", file_format, FORMATS))
    drawn = {name: _for_paper(figure) for name in run.figures if (figure := run.figures[name]).data}
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / f"{name.replace('@', '-on-')}.{file_format}" for name in drawn]
    if file_format == "html":
        for figure, path in zip(drawn.values(), paths, strict=True):
            figure.write_html(path, include_plotlyjs="directory")  # one copy of Plotly beside them, for all
    else:
        _write_pictures(list(drawn.values()), paths, file_format)
    return paths


def _for_paper(figure: go.Figure) -> go.Figure:
    """On white: the page's own ground, which shines through in the report, is not there."""
    return figure.update_layout(paper_bgcolor="white", font={"color": _DARK_INK})


def _write_pictures(figures: list[go.Figure], paths: list[Path], file_format: str) -> None:
    """All at once: a browser takes seconds to start."""
    import plotly.io

    heights = [figure.layout.height for figure in figures]
    try:
        plotly.io.write_images(figures, paths, format=file_format, width=WIDTH, height=heights, scale=2)
    except (ValueError, RuntimeError, ImportError) as error:
        # What kaleido raises where it or a browser is missing; its own texts are long and name neither remedy.
        raise ResultsError(
            f"{file_format} figures need kaleido and Chrome or Chromium, got {type(error).__name__}: "
            "pip install 'parefront[figures]' and a browser, or take --format html"
        ) from error
