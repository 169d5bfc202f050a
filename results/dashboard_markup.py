"""Turns the report's pieces of HTML into the dashboard's components, so that both are written with the same words.

The components hold text and a few attributes only: nothing that a name or a log line brings could run.
"""

from __future__ import annotations

import html
from html.parser import HTMLParser
from typing import Any

import dash
from dash import dcc

from .dashboard_address import Selection
from .markup import Html, as_html

_HEADINGS = ("h1", "h2", "h3", "h4")
_BLOCKS = ("div", "dl", "dt", "dd", "p", "pre", "section", "table", "thead", "tbody", "tr", "th", "td")
_WORDS = ("a", "button", "code", "i", "small", "span", "strong")
_PROPERTIES = {"class": "className", "tabindex": "tabIndex", "colspan": "colSpan"}
_ALLOWED = ("href", "id", "role", "scope", "title", "download", "type", *_PROPERTIES)


def to_components(markup: Html) -> list[Any]:
    """Components and pieces of text, in their order.

    Args:
        markup: From the functions of `markup`.
    """
    builder = _Builder()
    builder.feed(markup)
    builder.close()
    assert not builder.open, f"every element is closed, got {builder.open} open"
    return builder.children


def go_to(selection: Selection, text: object, css_class: str = "", label: str = "") -> Html:
    """A link to another selection; the page stays loaded.

    Args:
        selection: What to show.
        text: Of the link.
        css_class: Of the link.
        label: For those who cannot see where it stands.
    """
    attributes = f' class="{html.escape(css_class)}"' if css_class else ""
    attributes += f' title="{html.escape(label)}"' if label else ""
    return Html(f'<a href="{html.escape(selection.address)}"{attributes}>{as_html(text)}</a>')


class _Builder(HTMLParser):
    """Collects the children of the element that is open, from the outermost in."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.children: list[Any] = []
        self.open: list[tuple[str, dict[str, Any], list[Any]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in (*_HEADINGS, *_BLOCKS, *_WORDS), f"the dashboard is made of plain elements, got {tag!r}"
        self.open.append((tag, _properties(attrs), self.children))
        self.children = []

    def handle_endtag(self, tag: str) -> None:
        opened, properties, outer = self.open.pop()
        assert opened == tag, f"elements are nested, got {tag!r} in {opened!r}"
        outer.append(_component(tag, properties, self.children))
        self.children = outer

    def handle_data(self, data: str) -> None:
        self.children.append(data)


def _properties(attributes: list[tuple[str, str | None]]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for name, value in attributes:
        if name == "style":
            pairs = (part.partition(":") for part in (value or "").split(";") if part)
            properties["style"] = {key.strip(): text.strip() for key, _, text in pairs}
        elif name in _ALLOWED or name.startswith(("aria-", "data-")):
            properties[_PROPERTIES.get(name, name)] = value
        else:
            raise AssertionError(f"the dashboard's elements have plain attributes, got {name!r}")
    return properties


def _component(tag: str, properties: dict[str, Any], children: list[Any]) -> Any:  # Dash has no types of its own.
    if tag == "a" and str(properties.get("href", "")).startswith("/?"):
        return dcc.Link(children, **{name: properties[name] for name in properties})
    return getattr(dash.html, tag.capitalize())(children, **properties)
