"""A worker elsewhere: networks are sent to it, and a connection that was lost is opened again."""

from __future__ import annotations

import logging
import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..errors import DeviceLostError, MeasurementError
from .artefact import Artefact
from .connection import Connection, ProcessConnection, SocketConnection, converse, split_address
from .line_stream import ConnectionLostError, NoAnswerError
from .messages import Message, MessageError

PAUSES_S = (0.5, 2.0, 8.0)
"""Before each attempt to connect again, in s."""
# Logging in over ssh and starting Python on a small board takes its time.
_HELLO_TIMEOUT_S = 30.0

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class RemoteTransport:
    """Speaks to one device over connections that may break.

    A request that a break interrupted is sent again: all of them may be. What was begun is begun again before it, and
    networks that the worker still has are not sent again.
    """

    def __init__(
        self, device: str, connect: Callable[[], Connection], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Describes the transport without connecting.

        Args:
            device: What to call it in messages.
            connect: Opens a connection, or raises ConnectionLostError where nobody answers.
            sleep: Waits so many seconds.
        """
        self._device, self._connect, self._sleep = device, connect, sleep
        self._connection: Connection | None = None
        self._artefacts: dict[tuple[str, int, int, int], Artefact] = {}  # path, time of change, size, inode
        self._placed: dict[str, Artefact] = {}  # by name
        self._begun: Message | None = None

    def place(self, path: Path) -> str:
        """Sends a network unless the device has it, see `Transport.place`."""
        artefact = self._read(path)
        self._placed[artefact.name] = artefact
        self._try("an upload", lambda connection: self._upload(artefact, connection))
        return artefact.name

    def request(self, message: Message) -> Message:
        """Sends a request and waits for its answer, see `Transport.request`."""
        if message["type"] in ("begin", "end"):
            self._begun = None
        names = (*message.get("paths", ()), *([message["path"]] if "path" in message else []))
        answer = self._try(
            f"request {message['type']!r}", lambda connection: self._converse(connection, message), names
        )
        if message["type"] == "begin":
            self._begun = message
        return answer

    def close(self) -> None:
        """Ends the connection; the next request opens a new one."""
        self._begun = None
        self._drop()

    def _try(self, what: str, ask: Callable[[Connection], _T], names: tuple[str, ...] = ()) -> _T:
        """Asks over the open connection; where that is lost, over new ones after the pauses.

        Args:
            what: Is asked, for messages.
            ask: Does the exchange; it can be repeated.
            names: Of the networks that it needs on the device.
        """
        try:
            return self._try_often(what, ask, names)
        except NoAnswerError:
            self._drop()
            self._check_device()
            raise MeasurementError(
                f"{what} must be answered in time by {self._device!r}, but was not: try again when less runs there"
            ) from None
        except MessageError:
            self.close()
            raise
        except DeviceLostError:
            self.close()
            raise
        except MeasurementError:
            self._begun = None  # The worker gave its cores back; the connection is as good as before.
            raise
        except BaseException:
            # An answer that is still to come would be taken for that to the next request.
            self.close()
            raise

    def _try_often(self, what: str, ask: Callable[[Connection], _T], names: tuple[str, ...]) -> _T:
        reason, is_device_lost = "", False
        for pause_s in (0.0, *PAUSES_S):
            if pause_s:
                self._sleep(pause_s)
            try:
                is_new, connection = self._connection is None, self._open()
            except ConnectionLostError as error:
                reason, is_device_lost = str(error), True
                continue
            try:
                if is_new:
                    self._restore(connection, names)
                return ask(connection)
            except ConnectionLostError as error:
                reason, is_device_lost = connection.why_lost(str(error)), False
                self._drop()
        if is_device_lost:
            raise self._lost(reason)
        raise MeasurementError(
            f"{what} must be answered by {self._device!r}, but the measuring process there was lost each of "
            f"{1 + len(PAUSES_S)} times ({reason}): the network to measure may be what ends it"
        )

    def _open(self) -> Connection:
        """Gives the open connection or a new one, over which the device has greeted.

        Raises:
            ConnectionLostError: It does not answer now.
            DeviceLostError: It never will: there is no such command, or the other side is something else.
        """
        if self._connection is not None:
            return self._connection
        try:
            connection = self._connect()
        except MeasurementError as error:
            raise DeviceLostError(str(error)) from error
        try:
            self._converse(connection, {"type": "hello", "timeout_s": _HELLO_TIMEOUT_S})
        except ConnectionLostError as error:
            reason = connection.why_lost(str(error))
            connection.close()
            raise ConnectionLostError(reason) from error
        except NoAnswerError:
            connection.close()
            raise ConnectionLostError(f"it did not answer within {_HELLO_TIMEOUT_S:g} s") from None
        except MessageError as error:
            connection.close()
            raise DeviceLostError(f"device {self._device!r}: {error}") from error
        except MeasurementError as error:
            connection.close()
            raise ConnectionLostError(str(error)) from error
        self._connection = connection
        return connection

    def _restore(self, connection: Connection, names: tuple[str, ...]) -> None:
        """Brings a new worker to where the lost one was."""
        begun = self._begun
        for name in (*names, *(begun["paths"] if begun is not None else ())):
            if name in self._placed:
                self._upload(self._placed[name], connection)
        if begun is not None:
            self._converse(connection, begun)

    def _check_device(self) -> None:
        try:
            self._open()
        except ConnectionLostError as error:
            raise self._lost(str(error)) from error

    def _lost(self, reason: str) -> DeviceLostError:
        return DeviceLostError(
            f"device {self._device!r} must be reachable, but {reason} ({1 + len(PAUSES_S)} attempts): check it and the "
            "network to it"
        )

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _upload(self, artefact: Artefact, connection: Connection) -> None:
        artefact.upload(lambda message: self._converse(connection, message))

    def _converse(self, connection: Connection, message: Message) -> Message:
        return converse(connection, message, self._on_wait)

    def _on_wait(self, reason: str) -> None:
        _log.warning("%s is not ready yet: %s", self._device, reason)

    def _read(self, path: Path) -> Artefact:
        """Describes a network; one whose file did not change is read once."""
        try:
            status = os.stat(path)
        except OSError as error:
            raise MeasurementError(
                f"a network to measure must exist, got {path} ({error.strerror}): export it"
            ) from error
        key = (str(path), status.st_mtime_ns, status.st_size, status.st_ino)
        if key not in self._artefacts:
            self._artefacts[key] = Artefact.read(path)
        return self._artefacts[key]


class CommandTransport(RemoteTransport):
    """A worker at the other end of a command, for instance ``ssh board parefront-meter``."""

    def __init__(self, command: tuple[str, ...], sleep: Callable[[float], None] = time.sleep) -> None:
        """Describes it without starting the command.

        Args:
            command: The program and its arguments; what it runs must speak over its stdin and stdout.
            sleep: Waits so many seconds.
        """
        super().__init__(shlex.join(command), lambda: ProcessConnection(command), sleep)


class SocketTransport(RemoteTransport):
    """A worker that listens on a port, by ``parefront-meter --listen``."""

    def __init__(self, address: str, sleep: Callable[[float], None] = time.sleep) -> None:
        """Describes it without connecting.

        Args:
            address: ``host:port``.
            sleep: Waits so many seconds.

        Raises:
            MeasurementError: It is no address.
        """
        split_address(address)
        super().__init__(address, lambda: SocketConnection(address), sleep)
