"""A network on its way into the store: files that are filled piece by piece, and abandoned when their process ends."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from ..errors import MeasurementError
from .artefact import ArtefactFile, describe
from .artefact_format import check_data_name

MODEL_NAME = "model.onnx"
PREFIX = "upload-"


class Upload:
    """A folder that only this process fills.

    Attributes:
        folder: Where the network lies as `MODEL_NAME`, and its external data beside it under its own names.
        files: What was announced.
    """

    def __init__(self, parent: Path, files: tuple[ArtefactFile, ...]) -> None:
        """Makes the folder and files of the announced lengths, which count as taken from now on.

        Args:
            parent: In which the folder is made.
            files: The network, then its external data.

        Raises:
            MeasurementError: A name is no plain name of a file, or there twice.
        """
        names = (MODEL_NAME, *(file.name for file in files[1:]))
        for name in names:
            check_data_name(name)
        if len(set(names)) < len(names):
            raise MeasurementError(
                f"the files of a network must have different names, got {', '.join(names)}: rename one"
            )
        self.files = files
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        self._paths = [self.folder / name for name in names]
        # The kernel drops the lock when this process ends in whatever way; see `is_abandoned`.
        self._lock = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._n_received = [0] * len(files)
        for path, file in zip(self._paths, files, strict=True):
            path.touch(mode=0o600)
            os.truncate(path, file.size_bytes)

    def write(self, number: int, offset: int, data: bytes) -> None:
        """Appends a piece to a file.

        Args:
            number: Of the file.
            offset: How much of it came before; pieces come in order.

        Raises:
            MeasurementError: It is not the next piece, or more than was announced.
        """
        if number >= len(self.files):
            raise MeasurementError(
                f"a piece must be of one of {len(self.files)} files, got number {number}: send it again"
            )
        received, file = self._n_received[number], self.files[number]
        if offset != received or received + len(data) > file.size_bytes:
            raise MeasurementError(
                f"a piece of {file.name!r} must begin at byte {received} and end by {file.size_bytes}, got {len(data)} "
                f"at {offset}: send the network again"
            )
        with self._paths[number].open("r+b") as opened:
            opened.seek(offset)
            opened.write(data)
        self._n_received[number] += len(data)

    def check_digests(self) -> None:
        """Checks that every file came whole and as announced.

        Raises:
            MeasurementError: One did not.
        """
        for path, file, received in zip(self._paths, self.files, self._n_received, strict=True):
            if received != file.size_bytes:
                raise MeasurementError(
                    f"an upload must be whole, got {received} of the {file.size_bytes} bytes of {file.name!r}: send "
                    "it again"
                )
            digest = describe(path).sha256
            if digest != file.sha256:
                raise MeasurementError(
                    f"an upload must have the digest that was announced, got {digest[:16]} for {file.name!r}: send it "
                    "again"
                )

    def close(self) -> None:
        """Removes what is left of it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


def is_abandoned(folder: Path) -> bool:
    """Tells whether no process fills the folder any more."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False  # It was just taken over or removed.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)
