import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from parefront.hardware_profiles import Host, MeasurementError, WorkerProcess
from parefront.hardware_profiles.transport.remote_transport import CommandTransport, SocketTransport
from parefront.hardware_profiles.transport.transport import open_transport

ECHO = "import sys, json\nfor line in sys.stdin: print(json.dumps({**json.loads(line), 'ok': True}), flush=True)"


@contextmanager
def worker(code: str) -> Iterator[WorkerProcess]:
    process = WorkerProcess((sys.executable, "-c", code))
    try:
        yield process
    finally:
        process.close()


def test_requests_are_answered_in_turn() -> None:
    with worker(ECHO) as process:
        assert process.request({"type": "a"}) == {"type": "a", "protocol": 2, "ok": True}
        assert process.request({"type": "b"})["type"] == "b"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (
            "import sys; sys.stdin.readline(); print('lost memory', file=sys.stderr); sys.exit(3)",
            "status 3.*lost memory",
        ),
        ("import os, sys; sys.stdin.readline(); os.kill(os.getpid(), 9)", "killed by signal 9"),
        ("print('hello', flush=True); input()", "one line in JSON, got b'hello'"),
        ("print('{\"protocol\": 1}', flush=True); input()", "of protocol 2, got '1'"),
        ('print(\'{"protocol": 2, "ok": false, "error": "no such file"}\', flush=True); input()', "no such file"),
        ('print(\'{"protocol": 2, "ok": true, "wall_s": -1}\', flush=True); input()', "field 'wall_s'"),
    ],
)
def test_a_failing_process_is_a_measurement_error_with_its_reason(code: str, reason: str) -> None:
    with worker(code) as process, pytest.raises(MeasurementError, match=reason):
        process.request({"type": "a"})


def test_a_silent_process_times_out_and_the_next_request_gets_a_fresh_one() -> None:
    code = "import sys, json, time\nfor line in sys.stdin:\n m = json.loads(line)\n"
    code += " if m['type'] == 'sleep': time.sleep(60)\n print(json.dumps({**m, 'ok': True}), flush=True)"
    with worker(code) as process:
        with pytest.raises(MeasurementError, match="must answer in time"):
            process.request({"type": "sleep", "timeout_s": 0.2})
        assert process.request({"type": "b"})["type"] == "b"


def test_a_local_process_knows_a_network_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert WorkerProcess().place(Path("a.onnx")) == str(tmp_path / "a.onnx")


def test_a_profile_says_where_its_device_is() -> None:
    kinds = [open_transport(host) for host in (Host(), Host(command=("ssh", "b")), Host(address="board:7070"))]
    assert [type(each) for each in kinds] == [WorkerProcess, CommandTransport, SocketTransport]
