"""What a cluster starts on the machine of a device: a measuring process, spoken to by calls of an object's methods."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from .connection import ProcessConnection, own_environment
from .line_stream import ConnectionLostError, NoAnswerError

COMMAND = (sys.executable, "-m", f"{__package__}.meter_program")
"""The program that takes networks from elsewhere, in this Python."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The measuring process is gone.

    Attributes:
        reason: How it ended.
    """

    reason: str


class Relay:
    """Starts a measuring process on this machine and passes lines to and from it; both end together.

    Nothing is raised but what is our own bug: exceptions would not come through as what they are.
    """

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        """Starts the process.

        Args:
            command: The program and its arguments.

        Raises:
            MeasurementError: There is no such program.
        """
        self._connection = ProcessConnection(command, own_environment())

    def ask(self, line: bytes, timeout_s: float) -> bytes | Lost | None:
        """Sends a line and waits for the next one that comes.

        Args:
            line: A request, with its end; none where it is empty: the answer to the last one is still to come.
            timeout_s: How long to wait, in s.

        Returns:
            The line without its end; None where it did not come in time.
        """
        deadline = time.monotonic() + timeout_s
        try:
            if line:
                self._connection.stream.send(line, deadline)
            return self._connection.stream.receive(deadline)
        except NoAnswerError:
            return None
        except ConnectionLostError as error:
            return Lost(self._connection.why_lost(str(error)))

    def close(self) -> None:
        """Ends the process."""
        self._connection.close()
