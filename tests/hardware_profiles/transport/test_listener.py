import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from parefront.hardware_profiles.transport import listener
from parefront.hardware_profiles.transport.connection import split_address

HELLO = b'{"protocol": 2, "type": "hello"}\n'


def ask(client: socket.socket, line: bytes) -> dict[str, Any]:
    client.sendall(line)
    answer: dict[str, Any] = json.loads(client.makefile("rb").readline())
    return answer


def test_every_client_gets_a_process_that_ends_with_it(start_listener: Callable[..., Any]) -> None:
    running = start_listener()
    address = split_address(running.address)
    with socket.create_connection(address, 20) as first, socket.create_connection(address, 20) as second:
        assert ask(first, HELLO)["ok"] is True
        assert "one line in JSON" in ask(second, b"\x16\x03\x01 not JSON\n")["error"]
        assert ask(second, HELLO)["ok"] is True
        assert len(running.workers()) == 2
    deadline = time.monotonic() + 20
    while running.workers():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_listens_on_this_machine_only_unless_told_otherwise() -> None:
    code = (
        "import sys\nfrom parefront.hardware_profiles.transport import listener\n"
        "def stop(server, command):\n print(server.getsockname()[0]); sys.exit(0)\n"
        "listener._serve = stop\nlistener.listen(sys.argv[1], 1)"
    )
    said = {}
    for address in (":0", "0.0.0.0:0"):
        ran = subprocess.run([sys.executable, "-c", code, address], capture_output=True, text=True, check=True)
        said[address] = (ran.stdout.strip(), ran.stderr)
    assert said[":0"][0] == "127.0.0.1"
    assert "warning" not in said[":0"][1]
    assert said["0.0.0.0:0"][0] == "0.0.0.0"
    warning = said["0.0.0.0:0"][1].splitlines()[0]
    assert warning.startswith("warning: whoever can reach 0.0.0.0 may now run networks here")


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_loopback_is_known(host: str, is_loopback: bool) -> None:
    assert listener._is_loopback(host) is is_loopback


def test_more_clients_than_there_is_room_for_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "MAX_CLIENTS", 0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname(), 20)
        listener._accept(server, [], ("never",))
        with client:
            assert "at most 0 clients" in json.loads(client.makefile("rb").readline())["error"]
