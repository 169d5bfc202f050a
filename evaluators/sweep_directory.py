"""Where a sweep keeps what it has found, one file per training, so that a killed one goes on."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..hardware_profiles.errors import SearchError
from .folded_point import FoldedPoint, Unfolded


@dataclass(frozen=True, slots=True)
class SweepDirectory:
    """Files of one sweep.

    `sweep.json` holds the key of what it depends on; `unfolded-*.json` and `point-*.json` one result each;
    `nonlinearity.json` and `nonlinearity.html` what came out.
    """

    root: Path

    def claim(self, key: str) -> None:
        """Makes the directory ready for a sweep.

        Args:
            key: What its results depend on.

        Raises:
            SearchError: It holds the results of another.
        """
        known = self._read("sweep.json")
        if known is not None and known.get("key") != key:
            raise SearchError(
                f"{self.root} must hold results of this network, data and training, got those of others: "
                "choose another --out"
            )
        self._write("sweep.json", {"key": key})

    @property
    def summary(self) -> Path:
        """What came out, as JSON."""
        return self.root / "nonlinearity.json"

    @property
    def page(self) -> Path:
        """What came out, as a page."""
        return self.root / "nonlinearity.html"

    def read_point(self, strength: float, seed: int) -> FoldedPoint | None:
        """A point of an earlier session, or None."""
        data = self._read(_point_name(strength, seed))
        return None if data is None else FoldedPoint.from_json(data)

    def write_point(self, point: FoldedPoint) -> None:
        """Keeps a point."""
        self._write(_point_name(point.strength, point.seed), point.to_json())

    def read_unfolded(self, seed: int) -> Unfolded | None:
        """The unfolded network of an earlier session, or None."""
        data = self._read(f"unfolded-seed{seed}.json")
        return None if data is None else Unfolded.from_json(data)

    def write_unfolded(self, unfolded: Unfolded) -> None:
        """Keeps an unfolded network's results."""
        self._write(f"unfolded-seed{unfolded.seed}.json", unfolded.to_json())

    def write_summary(self, facts: dict[str, Any]) -> None:
        """Keeps what came out."""
        self._write(self.summary.name, facts)

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.root / name
        if not path.is_file():
            return None
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise SearchError(f"{path} must be readable JSON, but it is damaged: remove it") from error
        return data

    def _write(self, name: str, facts: dict[str, Any]) -> None:
        """Writes a file whole or not at all."""
        self.root.mkdir(parents=True, exist_ok=True)
        partial = self.root / f".{name}.{os.getpid()}.partial"
        partial.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        partial.replace(self.root / name)


def _point_name(strength: float, seed: int) -> str:
    return f"point-lambda{strength!r}-seed{seed}.json"
