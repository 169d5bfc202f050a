"""Runs a command that ends when the process that started it ends, in whatever way: `python end_with_parent.py COMMAND`.

Run as a file, so that nothing of the package is loaded before the request is made. What a killed worker had started
would otherwise go on, and hold the run directory that the next attempt needs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that this process gets when its parent ends; it stays set across exec."""


def main(parent: int, command: list[str]) -> None:
    """Asks to be killed with the parent, where the system is Linux, and becomes the command.

    Args:
        parent: Number of the process that started this one.
        command: Program and arguments.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # Ray's workers block Ctrl-C, and what they start inherits that; but the command must hear it.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.getppid() != parent:
        sys.exit("the process that started this one has ended")  # before the request was made
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
