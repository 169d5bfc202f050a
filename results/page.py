"""A page that needs no other file: style, scripts and data inside, figures drawn when they come into view."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path

import plotly.graph_objects as go
import plotly.offline

from .markup import Html, as_html, data_script

_FIGURES = "figures.js"


def page_parts(scripts: Sequence[str] = ()) -> dict[str, str]:
    """What every page's template has places for: `css`, `policy` and `scripts`.

    The policy lets run what this package ships and nothing else, and load nothing from anywhere. So even if a name
    got past the escaping, it could neither run nor send anything.

    Args:
        scripts: Files of this package beside the one that draws the figures.
    """
    sources = [read_resource(name) for name in (_FIGURES, *scripts)]
    allowed = " ".join(f"'sha256-{_digest(source)}'" for source in (*sources, plotly.offline.get_plotlyjs()))
    packed = f'<script type="text/plain" id="plotly">{_packed_plotly()}</script>'
    return {
        "css": read_resource("report.css"),
        "policy": f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'",
        "scripts": "\n".join([packed, *(f"<script>{source}</script>" for source in sources)]),
    }


def figure_slot(figure: go.Figure, name: str, label: str, min_width: int = 0) -> Html:
    """The place of a figure on a page, with its data.

    Args:
        figure: Of a set height, so that the page does not move when it is drawn.
        name: Of the element; must be unique on the page.
        label: What the figure is, for those who cannot see it.
        min_width: In pixels; on a narrower page the figure scrolls by itself.
    """
    slot = (
        f'<div class="plot" id="{as_html(name)}" role="group" aria-label="{as_html(label)}" '
        f'style="height:{int(figure.layout.height)}px;min-width:{min_width}px"></div>'
    )
    return Html(slot + data_script(f"{name}-data", json.loads(figure.to_json())))


def write_page(content: str, path: Path) -> Path:
    """Writes a page whole or not at all; its directory is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(content, encoding="utf-8")
    partial.replace(path)
    return path


def read_resource(name: str) -> str:
    """The text of a file that comes with this package."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


@cache
def _packed_plotly() -> str:
    """Plotly compressed, which makes a page of two megabytes out of one of five."""
    return base64.b64encode(zlib.compress(plotly.offline.get_plotlyjs().encode(), 9)).decode()


def _digest(source: str) -> str:
    """As a content security policy names an inline script."""
    return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
