"""The few pieces of HTML that the report is made of; everything that is not said to be HTML is escaped."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote


class Html(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


def as_html(value: object) -> Html:
    """The value as HTML: escaped, unless it is HTML already."""
    return value if isinstance(value, Html) else Html(html.escape(str(value)))


def join(parts: Sequence[object], separator: str = "") -> Html:
    """Several pieces one after the other."""
    return Html(separator.join(as_html(part) for part in parts))


def element(tag: str, content: object, css_class: str = "") -> Html:
    """One element around its content."""
    attribute = f' class="{html.escape(css_class)}"' if css_class else ""
    return Html(f"<{tag}{attribute}>{as_html(content)}</{tag}>")


def link(path: str, text: object) -> Html:
    """A link to a file, by its path relative to the page."""
    return Html(f'<a href="{html.escape(quote(path))}">{as_html(text)}</a>')


def table(head: Sequence[object], rows: Sequence[Sequence[object]], css_class: str = "") -> Html:
    """A table that scrolls by itself where the page is narrow.

    Args:
        head: Titles of the columns.
        rows: Cells; a row as long as the head.
        css_class: Of the table, for instance `numbers` to align all but the first column right.
    """
    titles = join([element("th", title) for title in head])
    body = join([element("tr", join([element("td", cell) for cell in row])) for row in rows])
    content = join([element("thead", element("tr", titles)), element("tbody", body)])
    # With a place in the order of the keys, or the columns out of view could be reached by mouse only.
    return Html(f'<div class="scroll" tabindex="0">{element("table", content, css_class)}</div>')


def definitions(facts: Mapping[str, object]) -> Html:
    """A list of names and values."""
    pairs = [element("div", join([element("dt", name), element("dd", value)])) for name, value in facts.items()]
    return element("dl", join(pairs))


def bars(shares: Mapping[str, tuple[float, object]]) -> Html:
    """Horizontal bars, one a line.

    Args:
        shares: By name: length from 0 to 1, and the value to write beside it.
    """
    rows = [
        f'<div class="bar"><span>{as_html(name)}</span>'
        f'<span class="track"><i style="width:{100 * min(max(share, 0.0), 1.0):.1f}%"></i></span>'
        f"<span>{as_html(value)}</span></div>"
        for name, (share, value) in shares.items()
    ]
    return Html(f'<div class="bars">{"".join(rows)}</div>')


def data_script(name: str, content: Any) -> Html:
    """Plain data for the page's scripts; no text in it can end the element that holds it.

    Args:
        name: Of the element.
        content: What JSON can hold; numbers must be finite.
    """
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Html(f'<script type="application/json" id="{as_html(name)}">{text}</script>')
