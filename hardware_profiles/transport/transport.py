"""How the meter reaches the process that measures: a fresh one on this machine, or a worker elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ..errors import MeasurementError
from ..profile import HardwareProfile, Host
from .connection import Connection, ProcessConnection, converse, own_environment
from .line_stream import ConnectionLostError, NoAnswerError
from .messages import Message, MessageError


class Transport(Protocol):
    """Carries requests to where the measuring happens."""

    def place(self, path: Path) -> str:
        """Brings a network to where it is measured, unless it is there already.

        Args:
            path: Its file here; external data beside it goes with it.

        Returns:
            The name by which requests call it.

        Raises:
            MeasurementError: It cannot be brought there.
        """

    def request(self, message: Message) -> Message:
        """Sends a request and waits for its answer.

        Args:
            message: A request of `meter_worker`; "timeout_s", where it is there, bounds the wait, in s.

        Raises:
            DeviceLostError: The device cannot be reached, whatever is asked of it.
            MeasurementError: There is no answer, or the answer is an error.
        """

    def close(self) -> None:
        """Ends the connection; the next request opens a new one."""


OpenTransport = Callable[[HardwareProfile], Transport | None]
"""Gives the way to where a profile is measured; None leaves it to the profile's own host."""


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
        module = f"{__package__.removesuffix('.transport')}.measuring.meter_worker"
        self._command = command if command is not None else (sys.executable, "-m", module)
        self._connection: Connection | None = None

    def place(self, path: Path) -> str:
        """Names the file where it is: the process reads this machine's files."""
        return str(path.resolve())

    def request(self, message: Message) -> Message:
        """Sends a request and waits for its answer, see `Transport.request`."""
        try:
            if self._connection is None:
                self._connection = self._start()
            return converse(self._connection, message, on_wait=lambda reason: None)
        except ConnectionLostError as error:
            reason = self._connection.why_lost(str(error)) if self._connection is not None else str(error)
            self.close()
            raise MeasurementError(
                f"the measuring process must stay alive, but {reason}: the next measurement starts a fresh one"
            ) from None
        except NoAnswerError:
            self.close()
            raise MeasurementError(
                "the measuring process must answer in time, but did not: try again on a less loaded machine"
            ) from None
        except MessageError:
            self.close()
            raise
        except MeasurementError:
            raise  # An answer; the process is as good as before.
        except BaseException:
            # An answer that is still to come would be taken for that to the next request.
            self.close()
            raise

    def close(self) -> None:
        """Ends the process; the next request starts a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _start(self) -> ProcessConnection:
        return ProcessConnection(self._command, own_environment())


def as_profiled(profile: HardwareProfile) -> None:
    """The `OpenTransport` that leaves every profile to its own host."""


def open_transport(host: Host) -> Transport:
    """Gives the transport to where a profile is measured; nothing is started or connected before the first request."""
    from .remote_transport import CommandTransport, SocketTransport

    if host.command:
        return CommandTransport(host.command)
    if host.address is not None:
        return SocketTransport(host.address)
    return WorkerProcess()
