"""What the dashboard shows, as the address of the page says it: a link to it shows the same to somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

KINDS = ("all", "front", "complete", "closed", "failed")
"""Which trials the table lists."""
ORDERS = ("newest", "oldest", "accuracy", "latency", "size")
MAX_COMPARED = 6
"""As many as there are colours that can be told apart."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What is shown.

    Attributes:
        run: Name of the run; empty for the list of all.
        sweep: Name of the sweep, where no run is looked at; empty for none.
        trial: Number of the trial that is looked at, or None.
        limits: Only trials within them, as they were written.
        kind: Which trials the table lists.
        order: And how.
        page: Of the table, from 1.
        figure: Name of the further figure; empty for the first one.
        compare: Names of the runs beside each other, on the list of all.
    """

    run: str = ""
    sweep: str = ""
    trial: int | None = None
    limits: str = ""
    kind: str = KINDS[0]
    order: str = ORDERS[0]
    page: int = 1
    figure: str = ""
    compare: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The page's address, without the host."""
        parts: list[tuple[str, Any]] = []
        for name in _DEFAULTS:
            value = getattr(self, name)
            if value != _DEFAULTS[name]:
                parts.append((name, value))
        return f"/?{urlencode([*parts, *(('compare', name) for name in self.compare)])}"

    def but(self, **changes: Any) -> Selection:
        """The same with something else in places."""
        return replace(self, **changes)


_DEFAULTS: Mapping[str, Any] = {
    name: getattr(Selection(), name) for name in ("run", "sweep", "trial", "limits", "kind", "order", "page", "figure")
}


def read_address(search: str | None) -> Selection:
    """What an address asks for; what it says wrongly is left at what is shown at first.

    Args:
        search: The part that begins with a question mark.
    """
    pairs = parse_qsl((search or "").removeprefix("?"), max_num_fields=100)
    said = dict(pairs)
    compared = dict.fromkeys(value for name, value in pairs if name == "compare")
    return Selection(
        run=said.get("run", ""),
        sweep=said.get("sweep", ""),
        trial=_number(said.get("trial", "")),
        limits=said.get("limits", "").strip(),
        kind=said["kind"] if said.get("kind") in KINDS else KINDS[0],
        order=said["order"] if said.get("order") in ORDERS else ORDERS[0],
        page=max(1, _number(said.get("page", "")) or 1),
        figure=said.get("figure", ""),
        compare=tuple(compared)[:MAX_COMPARED],
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
