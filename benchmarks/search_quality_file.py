"""What is known of a surface: one JSON object a line, written by several processes at once, nothing ever changed."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Recorded = dict[str, Any]  # one line of the file


class SurfaceFile:
    """The lines of a file by their key; what stands there first counts, so that everybody sees the same."""

    def __init__(self, path: Path, owner: str) -> None:
        """Opens the file, or begins it.

        Args:
            path: The file.
            owner: Says what the lines belong to.

        Raises:
            SystemExit: The file belongs to something else.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._known, self._n_read = path, dict[str, bytes](), 0
        found = self.fact("owner", lambda: owner)
        if found != owner:
            raise SystemExit(
                f"{path} must hold the surface of this network, but it was recorded for another one: move it away"
            )

    def get(self, key: str) -> Recorded | None:
        """The line of that key, None where nobody has written it yet."""
        if key not in self._known:
            self._read()
        found = self._known.get(key)
        return None if found is None else json.loads(found)

    def add(self, line: Recorded) -> Recorded:
        """Writes a line with its `key`, unless another process was first: then gives that one's."""
        with self._locked():
            self._read()
            if line["key"] not in self._known:
                text = json.dumps(line, separators=(",", ":")).encode()
                with self._path.open("ab") as file:
                    file.write((b"" if self._is_whole() else b"\n") + text + b"\n")
                self._known[line["key"]] = text
        found: Recorded = json.loads(self._known[line["key"]])
        return found

    def fact(self, name: str, work: Callable[[], Any]) -> Any:
        """A value that holds for the whole surface, found out once."""
        found = self.get(f"fact:{name}")
        return (found or self.add({"key": f"fact:{name}", "value": work()}))["value"]

    def keys(self) -> list[str]:
        """Of all lines but the facts, in the order in which they were written."""
        self._read()
        return [key for key in self._known if not key.startswith("fact:")]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _is_whole(self) -> bool:
        """Whether the file ends with a line's end; where a process was killed while it wrote, it does not."""
        return not self._path.exists() or self._path.stat().st_size == self._n_read

    def _read(self) -> None:
        """What others have written since; half a line at the end stays for later."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._n_read)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._n_read += len(whole)
        for text in whole.splitlines():
            try:
                line = json.loads(text)
            except ValueError:  # half a line, of a process that was killed while it wrote
                continue
            self._known.setdefault(line["key"], text)
