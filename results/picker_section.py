"""The report's first section: two limits, the picture of the front, and the member that they choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .markup import Html, as_html, data_script, element, join

LATENCY_STEPS = 200
"""Positions of the slider, in equal ratios from the fastest network to the slowest."""


def picker_section(data: Mapping[str, Any], front: Html) -> Html:
    """The section without its heading.

    Args:
        data: From `picker_data`.
        front: The picture, with its caption.
    """
    if not data["members"]:
        nothing = element("p", "There is nothing to choose from yet: the front has no compressed network.", "note")
        return join([front, nothing, data_script("picker-data", data)])
    panel = Html('<div id="choice" aria-live="polite"></div>')
    parts = [
        Html(f'<div class="picker">{front}{_controls(data)}{panel}</div>'),
        Html('<div id="choice-layers"></div>'),
        Html("<noscript><p>Choosing needs JavaScript; the table below holds every network.</p></noscript>"),
        data_script("picker-data", data),
    ]
    return join(parts)


def _controls(data: Mapping[str, Any]) -> Html:
    limits, costs = data["limits"], data["costs"]
    options = join(
        [Html(f'<option value="{as_html(each["score"])}">{as_html(each["best"])}</option>') for each in costs]
    )
    drop = f'<input type="range" id="drop" min="0" max="{limits["max_drop"]:g}" step="0.1" value="{limits["drop"]:g}">'
    latency = f'<input type="range" id="latency" min="0" max="{LATENCY_STEPS}" step="1" value="{LATENCY_STEPS}">'
    rows = [
        ("drop", "Accuracy you can give up", f'<output id="drop-value" for="drop"></output>{drop}'),
        ("latency", "Latency you need", f'<output id="latency-value" for="latency"></output>{latency}'),
        ("wish", "Of what is left, take the", f'<select id="wish">{options}</select>'),
    ]
    fields = "".join(
        f'<div class="field"><label for="{name}">{text}</label>{field}</div>' for name, text, field in rows
    )
    return Html(f'<div class="controls">{fields}</div>')
