"""Ends a measuring process that hangs when nobody is there any more to end it."""

from __future__ import annotations

import os
import select
import threading
import time

_GRACE_S = 5.0
"""For the process to notice itself that its client is gone, which it does whenever it reads or writes."""


def end_with_client(descriptor: int, grace_s: float = _GRACE_S) -> None:
    """Ends this process some seconds after its client has gone, whatever it is at.

    A network may keep a runtime busy for ever. The search then ends the process that asked for it; without this, the
    one that measures would go on holding the device's cores.

    Args:
        descriptor: Where requests come from: a pipe or a socket.
        grace_s: How long this process may take to end as it should, in s.
    """
    threading.Thread(target=_watch, args=(descriptor, grace_s), name="hang-up", daemon=True).start()


def _watch(descriptor: int, grace_s: float) -> None:
    line = select.poll()
    # A pipe tells that its other end is closed without being asked, a socket where the system can be asked for it.
    line.register(descriptor, getattr(select, "POLLRDHUP", 0))
    line.poll()  # Not a single time does it wake before that, which would disturb a measurement.
    time.sleep(grace_s)
    os._exit(1)
