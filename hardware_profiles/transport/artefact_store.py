"""Where a worker keeps the networks it was sent: by content, checked, bounded, the longest unused ones go.

The folder belongs to one user and is shared by all of that user's workers on the machine, so that nothing has to be
sent again after a connection was lost. Layout: ``<64 hexadecimal digits>/model.onnx`` with external data beside it,
``upload-*`` while being sent, ``lock``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..errors import MeasurementError
from .artefact import ArtefactFile, artefact_name, describe
from .artefact_format import check_onnx
from .artefact_upload import MODEL_NAME, Upload, is_abandoned

DEFAULT_MAX_BYTES = 2 << 30
_NAME = re.compile(r"sha256:([0-9a-f]{64})")


class ArtefactStore:
    """Networks by name; every process checks a network's digest before it uses it for the first time."""

    def __init__(self, folder: Path | None = None, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        """Opens or makes the folder.

        Args:
            folder: A private one of this user in the system's temporary folder by default.
            max_bytes: What all files in it may take together.

        Raises:
            MeasurementError: Somebody else could write into the folder.
        """
        self.folder = folder or Path(tempfile.gettempdir()) / f"parefront-artefacts-{os.getuid()}"
        self._max_bytes = max_bytes
        self._checked: set[str] = set()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = self.folder.lstat()
        # In a folder that all may write to, another user could have made it first, or put a link there.
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise MeasurementError(
                f"networks must be stored in a folder of this user's alone, got {self.folder}: remove it or close it "
                "to others"
            )

    def has(self, name: str) -> bool:
        """Tells whether a network is there and undamaged; it then counts as just used."""
        try:
            self.path(name)
        except MeasurementError:
            return False
        return True

    def path(self, name: str) -> Path:
        """Finds a network's file.

        Args:
            name: ``sha256:<hex>``; nothing else is looked for, in particular no path.

        Raises:
            MeasurementError: The name is none, or there is no undamaged network of that name.
        """
        folder = self._folder(name)
        try:
            os.utime(folder)
            if name not in self._checked:
                self._check(folder, name)
                self._checked.add(name)
        except FileNotFoundError:
            self._checked.discard(name)
            raise MeasurementError(f"a network must be uploaded before it is measured, got {name}: send it") from None
        return folder / MODEL_NAME

    def reserve(self, files: tuple[ArtefactFile, ...]) -> Upload:
        """Begins an upload, after making room for it.

        Args:
            files: What will be uploaded: the network, then its external data.

        Raises:
            MeasurementError: There is no room for so much.
        """
        size_bytes = sum(file.size_bytes for file in files)
        with self._locked():
            self._drop_abandoned()
            most = min(self._max_bytes, shutil.disk_usage(self.folder).free + self._taken())
            if size_bytes > most:
                raise MeasurementError(
                    f"a network must fit into the {most} bytes that the device has for it, got {size_bytes}: give "
                    "parefront-meter more with --store-bytes, or measure a smaller one"
                )
            for oldest in sorted(self._stored(), key=lambda each: each.stat().st_mtime_ns):
                if self._has_room(size_bytes):
                    break
                shutil.rmtree(oldest, ignore_errors=True)
            if not self._has_room(size_bytes):
                raise MeasurementError(
                    f"a network must fit beside those being uploaded now, got {size_bytes} bytes: try again later"
                )
            return Upload(self.folder, files)

    def add(self, upload: Upload, name: str) -> None:
        """Takes an upload over after checking digests and format.

        Args:
            upload: A whole one of `reserve`.
            name: Under which it shall be known.

        Raises:
            MeasurementError: It is not what was announced, or no network that is accepted here.
        """
        if artefact_name(upload.files) != name:
            raise MeasurementError(f"an upload must have the name of its digests, got {name}: report this as a bug")
        upload.check_digests()
        check_onnx(upload.folder / MODEL_NAME, tuple(file.name for file in upload.files[1:]))
        with self._locked(), contextlib.suppress(OSError):  # Another client may have sent the same meanwhile.
            upload.folder.rename(self._folder(name))
        self._checked.add(name)

    def _folder(self, name: str) -> Path:
        match = _NAME.fullmatch(name)
        if match is None:
            raise MeasurementError(
                f"a client from elsewhere must name networks by their digest, got {name[:80]!r}: upload the network "
                "instead of naming a path"
            )
        return self.folder / match[1]

    def _check(self, folder: Path, name: str) -> None:
        """Compares the contents with the name: a crash or a full disk may have damaged what another process left."""
        data = sorted(path for path in folder.iterdir() if path.name != MODEL_NAME)
        paths = [folder / MODEL_NAME, *data]
        if artefact_name(tuple(map(describe, paths))) != name:
            shutil.rmtree(folder, ignore_errors=True)
            raise MeasurementError(f"a stored network must still have its digest, but {name} has not: send it again")

    def _stored(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if _NAME.fullmatch(f"sha256:{path.name}")]

    def _taken(self) -> int:
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())

    def _has_room(self, size_bytes: int) -> bool:
        return self._taken() + size_bytes <= self._max_bytes and shutil.disk_usage(self.folder).free >= size_bytes

    def _drop_abandoned(self) -> None:
        for path in self.folder.glob("upload-*"):
            if is_abandoned(path):
                shutil.rmtree(path, ignore_errors=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
