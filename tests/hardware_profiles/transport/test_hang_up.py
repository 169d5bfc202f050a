import socket
import subprocess
import sys
from pathlib import Path

import pytest

from parefront.hardware_profiles.measuring.lease import CoreLease

HANGS = """
import sys, time
from pathlib import Path
from parefront.hardware_profiles.measuring.lease import CoreLease
from parefront.hardware_profiles.transport.hang_up import end_with_client
end_with_client(0, grace_s=0.1)
CoreLease([4711], folder=Path(sys.argv[1])).acquire()
print("leased", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_hangs_gives_the_device_back_when_its_client_is_gone(kind: str, tmp_path: Path) -> None:
    here, there = socket.socketpair()
    stdin = subprocess.PIPE if kind == "pipe" else there.fileno()
    command = [sys.executable, "-c", HANGS, str(tmp_path)]
    with subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE) as process, there:
        assert process.stdin is not None or kind == "socket"
        assert process.stdout is not None
        assert process.stdout.readline() == b"leased\n"
        # A client that is there but says nothing is waited for.
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        there.close()
        (process.stdin or here).close()
        assert process.wait(20) == 1
    here.close()
    with CoreLease([4711], timeout_s=0.0, folder=tmp_path) as lease:
        assert lease.is_held
