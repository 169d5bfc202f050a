"""Lines over two file descriptors, each within a time and a size: what every connection is made of."""

from __future__ import annotations

import os
import select
import time

from .messages import MAX_LINE_BYTES, MessageError

_READ_BYTES = 1 << 16
# So many bytes never block on a pipe that was reported writable (POSIX: PIPE_BUF is at least 512, on Linux 4096).
_WRITE_BYTES = select.PIPE_BUF


class ConnectionLostError(Exception):
    """The other side is gone; the text says how that showed."""


class NoAnswerError(Exception):
    """The other side may still be there, but nothing moved in time."""


class LineStream:
    """Sends and receives lines; the descriptors stay its owner's, and stay blocking, as they may be shared."""

    def __init__(self, source: int, sink: int) -> None:
        """Wraps two open descriptors.

        Args:
            source: To read from.
            sink: To write to; for a socket the same.
        """
        self._source, self._sink = source, sink
        self._received = bytearray()

    def send(self, line: bytes, deadline: float | None) -> None:
        """Writes a line whole.

        Args:
            line: With its end.
            deadline: By `time.monotonic`, in s; None waits for ever.

        Raises:
            ConnectionLostError: The other side does not read any more.
            NoAnswerError: It did not read in time.
        """
        left = memoryview(line)
        while left:
            _await(self._sink, select.POLLOUT, deadline)
            try:
                left = left[os.write(self._sink, left[:_WRITE_BYTES]) :]
            except OSError as error:
                raise ConnectionLostError(error.strerror or str(error)) from error

    def receive(self, deadline: float | None) -> bytes:
        """Reads the next line, without its end.

        Args:
            deadline: By `time.monotonic`, in s; None waits for ever.

        Raises:
            ConnectionLostError: The other side closed, perhaps within a line.
            NoAnswerError: The line was not complete in time.
            MessageError: It is longer than a message may be. It was skipped, so that the next one can be read.
        """
        n_bytes, searched = 0, 0
        while (end := self._received.find(b"\n", searched)) < 0:
            if len(self._received) > MAX_LINE_BYTES:
                n_bytes += len(self._received)
                self._received.clear()
            searched = len(self._received)
            self._received += self._read(deadline)
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        if n_bytes + len(line) > MAX_LINE_BYTES:
            raise MessageError(
                f"a message must have at most {MAX_LINE_BYTES} bytes, got {n_bytes + len(line)}: install the same "
                "version of parefront on both sides"
            )
        return line

    def _read(self, deadline: float | None) -> bytes:
        _await(self._source, select.POLLIN, deadline)
        try:
            read = os.read(self._source, _READ_BYTES)
        except OSError as error:
            raise ConnectionLostError(error.strerror or str(error)) from error
        if not read:
            raise ConnectionLostError("it was closed by the other side")
        return read


def _await(descriptor: int, event: int, deadline: float | None) -> None:
    poll = select.poll()  # select() knows no descriptors above 1023.
    poll.register(descriptor, event)
    wait_ms = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1e3
    if not poll.poll(wait_ms):
        raise NoAnswerError
