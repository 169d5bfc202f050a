"""How the meter talks to the process that measures.

A message is one JSON object with the protocol's version. The default transport is a fresh local process; a device that
is reached over a network needs only another class with these two methods.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from typing import IO, Any, Protocol

from .errors import MeasurementError

PROTOCOL_VERSION = 1
_DEFAULT_TIMEOUT_S = 120.0
_SHUTDOWN_S = 5.0

# Any: a message's values are whatever JSON holds; each request is documented in `meter_worker`.
Message = dict[str, Any]


class Transport(Protocol):
    """Carries requests to where the measuring happens."""

    def request(self, message: Message) -> Message:
        """Sends a request and waits for its answer.

        Args:
            message: A request of `meter_worker`; "timeout_s", where it is there, bounds the wait, in s.

        Raises:
            MeasurementError: There is no answer, or the answer is an error.
        """

    def close(self) -> None:
        """Ends the connection; the next request opens a new one."""


class WorkerProcess:
    """A local measuring process, started at the first request and again after it died.

    A process of its own keeps out what a search has in memory: torch's thread pools, the garbage collector's pauses, a
    large heap. It ends itself when this process does, in whatever way.
    """

    def __init__(self, command: tuple[str, ...] | None = None) -> None:
        """Describes the process without starting it.

        Args:
            command: The program and its arguments; this Python's `meter_worker` by default.
        """
        module = f"{__package__}.meter_worker"
        self._command = command if command is not None else (sys.executable, "-m", module)
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None
        self._received = b""

    def request(self, message: Message) -> Message:
        """Sends a request and waits for its answer, see `Transport.request`."""
        try:
            process = self._process if self._process is not None else self._start()
            line = json.dumps({**message, "protocol": PROTOCOL_VERSION}) + "\n"
            deadline = time.monotonic() + float(message.get("timeout_s", _DEFAULT_TIMEOUT_S))
            answer = self._exchange(process, line.encode(), deadline)
        except BaseException:
            # An answer that is still to come would be taken for that to the next request.
            self.close()
            raise
        if not answer.get("ok"):
            raise MeasurementError(str(answer.get("error", "the measuring process gave no reason")))
        return answer

    def close(self) -> None:
        """Ends the process; the next request starts a new one."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            assert process.stdout is not None
            process.kill()
            process.wait(_SHUTDOWN_S)
            process.stdin.close()
            process.stdout.close()
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None
        self._received = b""

    def _start(self) -> subprocess.Popen[bytes]:
        # The worker must find this package however the parent found it; an installed one needs none of this.
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # It lives as long as the process.
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": paths},
            # Ctrl-C is for the search to handle; the worker ends when its stdin closes.
            start_new_session=True,
        )
        return self._process

    def _exchange(self, process: subprocess.Popen[bytes], line: bytes, deadline: float) -> Message:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(line)
        except BrokenPipeError:
            raise self._dead(process) from None
        while b"\n" not in self._received:
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise MeasurementError(
                    "the measuring process must answer in time, but did not: try again on a less loaded machine"
                )
            chunk = os.read(process.stdout.fileno(), 1 << 16)
            if not chunk:
                raise self._dead(process)
            self._received += chunk
        text, _, self._received = self._received.partition(b"\n")
        try:
            answer: Message = json.loads(text)
        except ValueError:
            raise MeasurementError(
                f"the measuring process must answer in JSON, got {text[:80]!r}: report this as a bug"
            ) from None
        if answer.get("protocol") != PROTOCOL_VERSION:
            raise MeasurementError(
                f"the measuring process must speak protocol {PROTOCOL_VERSION}, got {answer.get('protocol')!r}: "
                "install the same version of parefront on both sides"
            )
        return answer

    def _dead(self, process: subprocess.Popen[bytes]) -> MeasurementError:
        code = process.wait(_SHUTDOWN_S)
        reason = f"it was killed by signal {-code}" if code < 0 else f"it ended with status {code}"
        last = b""
        if self._stderr is not None:
            self._stderr.seek(0)
            last = self._stderr.read().strip().rpartition(b"\n")[2]
        said = f" saying {last.decode(errors='replace')[:200]!r}" if last else ""
        return MeasurementError(
            f"the measuring process must stay alive, but {reason}{said}: the next measurement starts a fresh one"
        )
