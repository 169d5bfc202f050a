"""A worker in a network namespace of its own, whose link is taken down in the middle of a measurement."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from parefront.hardware_profiles.errors import DeviceLostError
from parefront.hardware_profiles.transport import connection, remote_transport
from parefront.hardware_profiles.transport.remote_transport import SocketTransport

NUMBER = os.getpid() % 65536  # Several runs at the same time stay apart.
NAMESPACE, OURS, THEIRS = f"parefront-test-{NUMBER}", f"pf{NUMBER}-here", f"pf{NUMBER}-there"
# 198.18.0.0/16 is for tests of networks (RFC 2544); each run takes four addresses of it.
OUR_ADDRESS, THEIR_ADDRESS = (f"198.18.{NUMBER // 64 % 256}.{NUMBER % 64 * 4 + host}" for host in (1, 2))
# A test need not wait as long for the kernel to give up as a search does.
QUICK = {"TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 2, "TCP_USER_TIMEOUT": 1500}
PROGRAM = (
    "import sys; from parefront.hardware_profiles.transport import connection, meter_program; "
    f"connection._TCP_OPTIONS.update({QUICK}); sys.exit(meter_program.main(sys.argv[1:]))"
)


def ip(*arguments: str) -> None:
    try:
        subprocess.run(("ip", *arguments), check=True, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("the program `ip` is missing")


@dataclass(frozen=True)
class Board:
    """A device behind a cable."""

    address: str

    def plug(self, state: str) -> None:
        ip("-n", NAMESPACE, "link", "set", THEIRS, state)


@contextmanager
def cable() -> Iterator[None]:
    try:
        ip("netns", "add", NAMESPACE)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine permits no network namespaces: {error.stderr.strip()}")
    try:
        try:
            ip("link", "add", OURS, "type", "veth", "peer", "name", THEIRS, "netns", NAMESPACE)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this machine permits no virtual links: {error.stderr.strip()}")
        ip("addr", "add", f"{OUR_ADDRESS}/30", "dev", OURS)
        ip("-n", NAMESPACE, "addr", "add", f"{THEIR_ADDRESS}/30", "dev", THEIRS)
        ip("link", "set", OURS, "up")
        ip("-n", NAMESPACE, "link", "set", THEIRS, "up")
        yield
    finally:
        ip("netns", "del", NAMESPACE)  # takes the link with it


@pytest.fixture
def board(start_listener: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    monkeypatch.setattr(connection, "_TCP_OPTIONS", {**connection._TCP_OPTIONS, **QUICK})
    monkeypatch.setattr(connection, "_CONNECT_TIMEOUT_S", 1.0)
    monkeypatch.setattr(remote_transport, "PAUSES_S", (0.1, 0.2))
    with cable():
        inside = ("ip", "netns", "exec", NAMESPACE, sys.executable, "-c", PROGRAM)
        yield Board(start_listener(f"{THEIR_ADDRESS}:0", inside).address)


def begin(name: str) -> dict[str, Any]:
    request = {"type": "begin", "runtime": "onnxruntime", "threads": 1, "batch_size": 1, "paths": [name]}
    return {**request, "warmup_ms": 1.0, "is_fresh": False, "lease_timeout_s": 20.0}


def bursts(name: str) -> dict[str, Any]:
    return {"type": "bursts", "order": [name], "burst_ms": 1.0}


def test_a_link_that_goes_down_is_a_lost_device_and_one_that_comes_up_goes_on(
    board: Board, write_network: Callable[..., Path], private_folder: Path
) -> None:
    transport = SocketTransport(board.address)
    try:
        name = transport.place(write_network())
        transport.request(begin(name))
        transport.request(bursts(name))

        board.plug("down")
        started = time.monotonic()
        with pytest.raises(DeviceLostError, match=rf"device '{board.address}' must be reachable, but .*3 attempts"):
            transport.request(bursts(name))
        assert time.monotonic() - started < 30  # far below the 120 s that the request itself may take

        board.plug("up")
        assert transport.place(write_network()) == name
        transport.request(begin(name))
        assert transport.request(bursts(name))["runs_ms"]
    finally:
        transport.close()


def test_a_link_that_comes_up_again_soon_is_not_noticed_by_the_measurement(
    board: Board, write_network: Callable[..., Path]
) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        board.plug("up")

    transport = SocketTransport(board.address, sleep)
    try:
        name = transport.place(write_network())
        transport.request(begin(name))
        board.plug("down")
        assert transport.request(bursts(name))["runs_ms"]
        assert pauses
    finally:
        transport.close()
