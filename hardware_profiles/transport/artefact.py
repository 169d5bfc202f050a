"""A network's files under a name made of their contents, and how they reach a worker elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import MeasurementError
from .artefact_format import check_format, external_names
from .messages import CHUNK_BYTES, Message

_COMMIT_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class ArtefactFile:
    """One file of an artefact.

    Attributes:
        name: Under which the network looks for it; for the network's own file, any.
        size_bytes: Its length.
        sha256: Of its contents, in hexadecimal.
    """

    name: str
    size_bytes: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """Plain data for a message."""
        return {"name": self.name, "size_bytes": self.size_bytes, "sha256": self.sha256}


def artefact_name(files: tuple[ArtefactFile, ...]) -> str:
    """Names an artefact by its contents: the SHA-256 of its only file, or over those of all its files.

    The name of the network's own file is no part of it; those of its external data stand in the network.
    """
    digests = [file.sha256 for file in files]
    return f"sha256:{digests[0] if len(digests) == 1 else hashlib.sha256(' '.join(digests).encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Artefact:
    """A network to be measured, as it lies on this machine.

    Attributes:
        path: The network's own file.
        files: It, then its external data by name.
    """

    path: Path
    files: tuple[ArtefactFile, ...]

    @property
    def name(self) -> str:
        """See `artefact_name`."""
        return artefact_name(self.files)

    @classmethod
    def read(cls, path: Path) -> Artefact:
        """Describes the files of a network.

        Raises:
            MeasurementError: They are missing, or of a kind that no worker elsewhere takes.
        """
        check_format(path.suffix)
        own = describe(path)
        return cls(path, (own, *(describe(path.with_name(name)) for name in external_names(path))))

    def upload(self, ask: Callable[[Message], Message]) -> None:
        """Sends the files where the worker lacks them.

        Args:
            ask: Sends one request and gives its answer.

        Raises:
            MeasurementError: The worker refuses them, or a file changed meanwhile.
        """
        if ask({"type": "has", "artefact": self.name})["is_there"]:
            return
        files = [file.to_json() for file in self.files]
        ask({"type": "upload", "artefact": self.name, "format": self.path.suffix, "files": files})
        for number, file in enumerate(self.files):
            with self.path.with_name(file.name).open("rb") as opened:
                offset = 0
                while chunk := opened.read(CHUNK_BYTES):
                    data = base64.b64encode(chunk).decode("ascii")
                    ask({"type": "chunk", "file": number, "offset": offset, "data": data})
                    offset += len(chunk)
        ask({"type": "commit", "timeout_s": _COMMIT_TIMEOUT_S})


def describe(path: Path) -> ArtefactFile:
    """Reads a file's length and digest.

    Raises:
        MeasurementError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return ArtefactFile(path.name, file.tell(), digest)
    except OSError as error:
        raise MeasurementError(f"a network to measure must exist, got {path} ({error.strerror}): export it") from error
