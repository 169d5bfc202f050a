import gc
import os
import socket
import sys
import time

import pytest

from parefront.hardware_profiles import MeasurementError
from parefront.hardware_profiles.transport.connection import (
    ProcessConnection,
    SocketConnection,
    converse,
    keep_alive,
    split_address,
)
from parefront.hardware_profiles.transport.line_stream import ConnectionLostError


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("board:7070", ("board", 7070)),
        ("192.168.1.9:1", ("192.168.1.9", 1)),
        ("[::1]:7070", ("::1", 7070)),
        (":0", ("127.0.0.1", 0)),
    ],
)
def test_addresses_are_split(address: str, expected: tuple[str, int]) -> None:
    assert split_address(address) == expected


@pytest.mark.parametrize("address", ["board", "board:", "board:65536", "board:-1", "a b:1", "::1:70", "", "board:7x"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(MeasurementError, match="must be HOST:PORT with a port up to 65535, got"):
        split_address(address)


def test_a_program_that_does_not_exist_is_named() -> None:
    with pytest.raises(MeasurementError, match=r"must be a program, got 'no-such-program' \(No such file"):
        ProcessConnection(("no-such-program", "board"))


def test_a_port_where_nobody_listens_is_a_lost_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionLostError, match="Connection refused"):
        SocketConnection(f"127.0.0.1:{port}")


def test_what_keeps_a_worker_waiting_is_passed_on() -> None:
    said = "{'protocol': 2, 'ok': True, 'waiting': 'another measurement holds core 0'}"
    code = f"import json; input(); print(json.dumps({said})); print(json.dumps({{'protocol': 2, 'ok': True}}))"
    connection = ProcessConnection((sys.executable, "-c", code))
    reasons: list[str] = []
    try:
        assert converse(connection, {"type": "end"}, reasons.append) == {"protocol": 2, "ok": True}
    finally:
        connection.close()
    assert reasons == ["another measurement holds core 0"]


def test_a_silent_end_of_a_connection_is_noticed_within_half_a_minute() -> None:
    with socket.socket() as connection:
        keep_alive(connection)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_KEEPIDLE"):
            idle, interval, count = (
                connection.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            )
            assert idle + interval * count <= 30


def test_a_process_that_closed_its_output_but_lives_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parefront.hardware_profiles.transport.connection._SHUTDOWN_S", 0.1)
    connection = ProcessConnection((sys.executable, "-c", "import os, time; os.close(1); time.sleep(60)"))
    started = time.monotonic()
    assert connection.why_lost("it was closed") == "it was closed"
    monkeypatch.undo()
    connection.close()
    assert time.monotonic() - started < 30


def test_a_connection_that_is_dropped_ends_its_process() -> None:
    connection = ProcessConnection((sys.executable, "-c", "input()"))
    pid = connection._process.pid
    del connection
    gc.collect()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
