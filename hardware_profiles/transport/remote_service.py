"""What a worker answers to clients from elsewhere: it stores the networks they send, and measures nothing else.

Requests beside those of `meter_worker`:

- ``{"type": "hello"}`` asks who is there. Answer: ``{"version", "formats": [".onnx"]}``.
- ``{"type": "has", "artefact": "sha256:<hex>"}``. Answer: ``{"is_there"}``.
- ``{"type": "upload", "artefact", "format", "files": [{"name", "size_bytes", "sha256"}, ...]}`` announces a network and
  its external data; an earlier upload that was not committed is forgotten.
- ``{"type": "chunk", "file", "offset", "data"}`` sends the next piece of the file of that number, in base64.
- ``{"type": "commit"}`` ends the upload; from then on the artefact's name stands for the network in other requests.
"""

from __future__ import annotations

import base64
import binascii
import importlib.metadata
from collections.abc import Callable

from ..errors import MeasurementError
from ..runtimes import runtime_facts
from .artefact import ArtefactFile
from .artefact_format import ACCEPTED_FORMATS, check_format
from .artefact_store import ArtefactStore
from .artefact_upload import Upload
from .messages import Message


class RemoteService:
    """Answers requests: those about artefacts itself, the others by a worker that resolves names in the same store."""

    def __init__(self, measure: Callable[[Message], Message], store: ArtefactStore) -> None:
        """Joins a worker and a store.

        Args:
            measure: Answers a worker's requests.
            store: Where networks go; the worker must take its paths from here.
        """
        self._measure, self._store = measure, store
        self._upload: tuple[str, Upload] | None = None
        self._handlers = {
            "hello": self._hello,
            "has": self._has,
            "upload": self._begin_upload,
            "chunk": self._chunk,
            "commit": self._commit,
        }

    def handle(self, request: Message) -> Message:
        """Answers a request that `check_request` has passed.

        Raises:
            MeasurementError: It cannot be done.
        """
        if "runtime" in request:
            # A runtime of another format could find its own, pickles included, within a file that is also valid ONNX.
            check_format(runtime_facts(request["runtime"]).suffix)
        handler = self._handlers.get(request["type"])
        return self._measure(request) if handler is None else {"ok": True, **handler(request)}

    def close(self) -> None:
        """Forgets an upload under way."""
        if self._upload is not None:
            self._upload[1].close()
            self._upload = None

    def _hello(self, request: Message) -> Message:
        return {"version": importlib.metadata.version("parefront"), "formats": list(ACCEPTED_FORMATS)}

    def _has(self, request: Message) -> Message:
        return {"is_there": self._store.has(request["artefact"])}

    def _begin_upload(self, request: Message) -> Message:
        check_format(request["format"])
        self.close()
        files = tuple(ArtefactFile(**file) for file in request["files"])
        self._upload = request["artefact"], self._store.reserve(files)
        return {}

    def _chunk(self, request: Message) -> Message:
        try:
            data = base64.b64decode(request["data"], validate=True)
        except (binascii.Error, ValueError):
            raise MeasurementError(
                "a piece of a network must be in base64, got something else: send it again"
            ) from None
        self._current()[1].write(request["file"], request["offset"], data)
        return {}

    def _commit(self, request: Message) -> Message:
        name, upload = self._current()
        try:
            self._store.add(upload, name)
        finally:
            self.close()
        return {}

    def _current(self) -> tuple[str, Upload]:
        if self._upload is None:
            raise MeasurementError("a piece must follow the announcement of its network, got none: send it again")
        return self._upload
