import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from parefront.hardware_profiles import MeasurementError, WorkerProcess

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
        assert process.request({"type": "a"}) == {"type": "a", "protocol": 1, "ok": True}
        assert process.request({"type": "b"})["type"] == "b"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (
            "import sys; sys.stdin.readline(); print('lost memory', file=sys.stderr); sys.exit(3)",
            "status 3.*lost memory",
        ),
        ("import os, sys; sys.stdin.readline(); os.kill(os.getpid(), 9)", "killed by signal 9"),
        ("print('hello', flush=True); input()", "answer in JSON, got b'hello'"),
        ("print('{\"protocol\": 2}', flush=True); input()", "speak protocol 1, got 2"),
        ('print(\'{"protocol": 1, "ok": false, "error": "no such file"}\', flush=True); input()', "no such file"),
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
