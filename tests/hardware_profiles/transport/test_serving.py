import json
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from parefront.hardware_profiles import MeasurementError
from parefront.hardware_profiles.transport import line_stream
from parefront.hardware_profiles.transport.line_stream import LineStream
from parefront.hardware_profiles.transport.serving import serve

Handle = Callable[[dict[str, Any]], dict[str, Any]]
BEGIN = {
    "type": "begin",
    "runtime": "onnxruntime",
    "threads": 1,
    "batch_size": 1,
    "paths": ["a"],
    "warmup_ms": 5.0,
    "is_fresh": False,
    "lease_timeout_s": 1.0,
}


@contextmanager
def served(handle: Handle, silence_s: float | None = None) -> Iterator[tuple[socket.socket, threading.Thread]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        arguments = (LineStream(ours.fileno(), ours.fileno()), handle, silence_s)
        thread = threading.Thread(target=serve, args=arguments, daemon=True)
        thread.start()
        theirs.settimeout(20)
        yield theirs, thread
        theirs.shutdown(socket.SHUT_WR)
        thread.join(20)
        assert not thread.is_alive()


def ask(client: socket.socket, line: bytes) -> dict[str, Any]:
    client.sendall(line + b"\n")
    answer: dict[str, Any] = json.loads(client.makefile("rb").readline())
    return answer


END = b'{"protocol": 2, "type": "end"}'


class Cycle:
    """Something that only the garbage collector removes."""

    def __init__(self) -> None:
        self.itself = self


def test_nothing_is_left_to_do_when_the_answer_comes() -> None:
    """Collecting garbage later would take time from another process that measures on the same cores by then."""
    garbage: list[weakref.ref[Cycle]] = []

    def handle(request: dict[str, Any]) -> dict[str, Any]:
        garbage.append(weakref.ref(Cycle()))
        return {"protocol": 2, "ok": True}

    with served(handle) as (client, _):
        ask(client, END)
        assert garbage[0]() is None


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (b"GET / HTTP/1.1", "one line in JSON"),
        (b'{"protocol": 2, "type": "en', "one line in JSON"),
        (b'{"protocol": 1, "type": "end"}', "of protocol 2, got '1'"),
        (b'{"protocol": 2, "type": "explode"}', "type must be one of"),
        (b'{"protocol": 2, "type": "bursts", "order": ["a"], "burst_ms": -1}', "field 'burst_ms'"),
        (b"x" * 101, "at most 100 bytes, got 101"),
    ],
)
def test_what_breaks_a_rule_is_answered_and_the_next_request_too(
    line: bytes, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_stream, "MAX_LINE_BYTES", 100)
    with served(lambda request: {"ok": True}) as (client, _):
        refused = ask(client, line)
        assert (refused["ok"], refused["protocol"]) == (False, 2)
        assert rule in refused["error"]
        assert ask(client, END) == {"ok": True, "protocol": 2}


def test_any_exception_is_an_answer() -> None:
    def handle(request: dict[str, Any]) -> dict[str, Any]:
        raise {"end": KeyError("x"), "hello": MeasurementError("no\nway")}[request["type"]]

    with served(handle) as (client, _):
        assert ask(client, END)["error"] == "KeyError: 'x'"
        assert ask(client, b'{"protocol": 2, "type": "hello"}')["error"] == "no way"


def test_a_client_that_holds_the_device_may_not_fall_silent() -> None:
    with served(lambda request: {"ok": True}, silence_s=0.05) as (client, thread):
        ask(client, END)
        thread.join(0.3)
        assert thread.is_alive()  # It holds nothing: it may be silent for hours, while its search trains.
        ask(client, json.dumps({**BEGIN, "protocol": 2}).encode())
        thread.join(20)
        assert not thread.is_alive()


def test_what_a_library_prints_gets_not_between_the_answers() -> None:
    code = (
        "import os\nfrom parefront.hardware_profiles.transport.serving import serve, standard_streams\n"
        "stream = standard_streams()\n"
        "def handle(request):\n print('noise', flush=True)\n os.write(1, b'more')\n return {'ok': True}\n"
        "serve(stream, handle)"
    )
    ran = subprocess.run([sys.executable, "-c", code], input=END + b"\n", capture_output=True, check=True, timeout=60)
    assert json.loads(ran.stdout) == {"ok": True, "protocol": 2}
    assert ran.stderr == b"noise\nmore"
