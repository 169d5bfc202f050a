"""Connections to a worker: a process of its own on this machine (which may be ssh), or a socket."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping
from typing import IO, Protocol

from ..errors import MeasurementError
from .line_stream import ConnectionLostError, LineStream
from .messages import Message, check_answer, decode, encode, one_line

DEFAULT_TIMEOUT_S = 120.0
_CONNECT_TIMEOUT_S = 10.0
_SHUTDOWN_S = 5.0
_TCP_OPTIONS = {
    "TCP_NODELAY": 1,  # A request is small and its answer is waited for.
    "TCP_KEEPIDLE": 5,  # s of silence before the first probe
    "TCP_KEEPINTVL": 5,  # s between probes
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 20_000,  # ms that sent bytes may stay unacknowledged
}
_ADDRESS = re.compile(r"(?:\[([^\]]+)\]|([^:\s]*)):(\d{1,5})")


class Lines(Protocol):
    """Sends and receives lines, as `LineStream` does."""

    def send(self, line: bytes, deadline: float | None) -> None:
        """See `LineStream.send`."""

    def receive(self, deadline: float | None) -> bytes:
        """See `LineStream.receive`."""


class Connection(Protocol):
    """An open line to a worker."""

    @property
    def stream(self) -> Lines:
        """Where the lines go."""

    def why_lost(self, seen: str) -> str:
        """Says why it was lost, for people; what the stream saw is used where nothing better is known."""

    def close(self) -> None:
        """Ends it, and whatever it started."""


def converse(connection: Connection, message: Message, on_wait: Callable[[str], None]) -> Message:
    """Sends a request and waits for its answer.

    Args:
        connection: An open one; after an exception other than a plain `MeasurementError` it cannot be used any more.
        message: A request; "timeout_s", where it is there, bounds the wait, in s.
        on_wait: Told why the answer takes long, where the worker says so.

    Raises:
        MeasurementError: The worker answered with an error.
        MessageError: What came is no answer of this protocol.
        ConnectionLostError: See `LineStream`.
        NoAnswerError: See `LineStream`.
    """
    deadline = time.monotonic() + float(message.get("timeout_s", DEFAULT_TIMEOUT_S))
    connection.stream.send(encode(message), deadline)
    while "waiting" in (answer := decode(connection.stream.receive(deadline))):
        on_wait(one_line(answer["waiting"]))
    if answer.get("ok") is not True:
        raise MeasurementError(one_line(answer.get("error", "the measuring process gave no reason")))
    check_answer(str(message["type"]), answer)
    return answer


class ProcessConnection:
    """Speaks over stdin and stdout of a process that it starts and ends."""

    def __init__(self, command: tuple[str, ...], environment: Mapping[str, str] | None = None) -> None:
        """Starts the process.

        Args:
            command: The program and its arguments.
            environment: Of the process; this one's by default.

        Raises:
            MeasurementError: There is no such program.
        """
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # It lives as long as the process.
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                bufsize=0,
                env=environment,
                # Ctrl-C is for the search to handle; the worker ends when its stdin closes.
                start_new_session=True,
            )
        except OSError as error:
            self._stderr.close()
            raise MeasurementError(
                f"the command of a measuring process must be a program, got {command[0]!r} ({error.strerror}): install "
                "it, or correct host.command in the profile"
            ) from error
        # A meter that is dropped rather than closed must not leave a process behind.
        self._end = weakref.finalize(self, _end_process, self._process, self._stderr)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stream = LineStream(self._process.stdout.fileno(), self._process.stdin.fileno())

    @property
    def stream(self) -> LineStream:
        """See `Connection`."""
        return self._stream

    def why_lost(self, seen: str) -> str:
        """How the process ended, and the last line of what it wrote to stderr."""
        try:
            code = self._process.wait(_SHUTDOWN_S)
        except subprocess.TimeoutExpired:
            return seen
        reason = f"it was killed by signal {-code}" if code < 0 else f"it ended with status {code}"
        self._stderr.seek(0)
        last = self._stderr.read().strip().rpartition(b"\n")[2]
        return f"{reason} saying {last.decode(errors='replace').strip()[:200]!r}" if last else reason

    def close(self) -> None:
        """See `Connection`."""
        self._end()


def own_environment() -> dict[str, str]:
    """This process's environment, in which another Python finds this package as this one did.

    An installed package needs none of this.
    """
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}


def _end_process(process: subprocess.Popen[bytes], stderr: IO[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.kill()
    process.wait(_SHUTDOWN_S)
    process.stdin.close()
    process.stdout.close()
    stderr.close()


class SocketConnection:
    """Speaks over TCP."""

    def __init__(self, address: str) -> None:
        """Connects.

        Args:
            address: ``host:port``.

        Raises:
            ConnectionLostError: Nobody answers there.
        """
        try:
            self._socket = socket.create_connection(split_address(address), _CONNECT_TIMEOUT_S)
        except OSError as error:
            raise ConnectionLostError(error.strerror or str(error)) from error
        self._end = weakref.finalize(self, self._socket.close)
        self._socket.settimeout(None)
        keep_alive(self._socket)
        self._stream = LineStream(self._socket.fileno(), self._socket.fileno())

    @property
    def stream(self) -> LineStream:
        """See `Connection`."""
        return self._stream

    def why_lost(self, seen: str) -> str:
        """See `Connection`."""
        return seen

    def close(self) -> None:
        """See `Connection`."""
        self._end()


def split_address(address: str) -> tuple[str, int]:
    """Gives host and port of ``host:port``, ``[IPv6]:port`` or ``:port`` (this machine).

    Raises:
        MeasurementError: It is neither.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match[3]) > 65535:
        raise MeasurementError(f"an address must be HOST:PORT with a port up to 65535, got {address!r}: correct it")
    return match[1] or match[2] or "127.0.0.1", int(match[3])


def keep_alive(connection: socket.socket) -> None:
    """Lets the kernel end a connection whose other side has silently gone, within about 20 s.

    Without it, a cable that is pulled out leaves both sides waiting for ever: the one for an answer, the other one with
    the device leased.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _TCP_OPTIONS.items():
        if hasattr(socket, name):  # Some are Linux's own.
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
