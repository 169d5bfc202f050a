import json
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from parefront.hardware_profiles import CoreLease, MeasurementError
from parefront.hardware_profiles.errors import DeviceLostError
from parefront.hardware_profiles.transport.line_stream import ConnectionLostError, NoAnswerError
from parefront.hardware_profiles.transport.remote_transport import (
    PAUSES_S,
    CommandTransport,
    RemoteTransport,
    SocketTransport,
)

WriteNetwork = Callable[..., Path]
Message = dict[str, Any]


def begin(*names: str, **changes: Any) -> Message:
    request = {"type": "begin", "runtime": "onnxruntime", "threads": 1, "batch_size": 1, "paths": list(names)}
    return {**request, "warmup_ms": 1.0, "is_fresh": False, "lease_timeout_s": 20.0, "timeout_s": 60.0, **changes}


def bursts(*names: str) -> Message:
    return {"type": "bursts", "order": list(names), "burst_ms": 1.0, "timeout_s": 60.0}


# --- with a line that breaks as the test says


class Network:
    """Connections to one device. What it is told to break: `None` is answered, an exception is raised instead."""

    def __init__(self, connects: Iterable[Exception | None] = (), requests: Iterable[Any] = ()) -> None:
        self.connects, self.requests = deque(connects), deque(requests)
        self.log: list[str] = []
        self.pauses: list[float] = []
        self.stored: set[str] = set()
        self.transport = RemoteTransport("board:1", self.connect, self.pauses.append)

    def connect(self) -> "Line":
        self.log.append("connect")
        if self.connects and (error := self.connects.popleft()) is not None:
            raise error
        return Line(self)


class Line:
    """One connection, and its own stream."""

    def __init__(self, network: Network) -> None:
        self.network, self.answers = network, deque[Any]()
        self.stream = self

    def send(self, line: bytes, deadline: float | None) -> None:
        request = json.loads(line)
        kind = request["type"]
        if kind not in ("chunk", "upload", "commit"):
            self.network.log.append(kind)
        outcome = None
        if kind not in ("hello", "has", "chunk", "upload", "commit") and self.network.requests:
            outcome = self.network.requests.popleft()
        if kind == "upload":
            self.network.log.append("upload")
            self.network.stored.add(request["artefact"])
        answers = {
            "hello": {"version": "1", "formats": [".onnx"]},
            "has": {"is_there": request.get("artefact") in self.network.stored},
            "begin": {"cores": [0], "memory_bytes": [None]},
        }
        self.answers.append(outcome or {"protocol": 2, "ok": True, **answers.get(kind, {})})

    def receive(self, deadline: float | None) -> bytes:
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    def why_lost(self, seen: str) -> str:
        return seen

    def close(self) -> None:
        self.network.log.append("close")


REFUSED, RESET = ConnectionLostError("Connection refused"), ConnectionLostError("Connection reset by peer")
END = {"type": "end"}


def test_a_device_that_comes_back_in_time_is_not_missed() -> None:
    network = Network(connects=[REFUSED, REFUSED, None])
    assert network.transport.request(END)["ok"] is True
    assert network.pauses == list(PAUSES_S[:2])
    assert network.log == ["connect"] * 3 + ["hello", "end"]


def test_a_device_that_stays_away_is_named_with_the_reason() -> None:
    network = Network(connects=[REFUSED] * 9)
    with pytest.raises(DeviceLostError, match=r"'board:1' must be reachable, but Connection refused \(4 attempts\)"):
        network.transport.request(END)
    assert network.pauses == list(PAUSES_S)


def test_after_a_break_the_worker_is_brought_to_where_it_was(write_network: WriteNetwork) -> None:
    network = Network(requests=[None, RESET])
    name = network.transport.place(write_network())
    network.transport.request(begin(name))
    network.log.clear()
    network.transport.request(END)
    assert network.log == ["end", "close", "connect", "hello", "end"]  # Ending needs nothing to have begun.

    network.requests.extend([None, RESET])
    network.transport.request(begin(name))
    network.log.clear()
    network.stored.clear()  # The device was switched off and on.
    with pytest.raises(MeasurementError, match="must have the field 'runs_ms'"):
        network.transport.request(bursts(name))
    assert network.log[:7] == ["bursts", "close", "connect", "hello", "has", "upload", "begin"]


def test_a_network_is_sent_once(write_network: WriteNetwork) -> None:
    network = Network()
    path = write_network()
    assert network.transport.place(path) == network.transport.place(path)
    assert network.log == ["connect", "hello", "has", "upload", "has"]
    path.unlink()
    with pytest.raises(MeasurementError, match=r"must exist, got .*network.onnx"):
        network.transport.place(path)


def test_a_request_that_ends_the_worker_each_time_is_not_the_devices_fault() -> None:
    network = Network(requests=[RESET] * 9)
    with pytest.raises(
        MeasurementError, match=r"request 'end' must be answered by 'board:1', but .* lost each of 4 times"
    ) as e:
        network.transport.request(END)
    assert not isinstance(e.value, DeviceLostError)


def test_an_answer_that_does_not_come_is_asked_for_once() -> None:
    network = Network(requests=[NoAnswerError()])
    with pytest.raises(MeasurementError, match="request 'end' must be answered in time by 'board:1'") as error:
        network.transport.request(END)
    assert not isinstance(error.value, DeviceLostError)
    assert network.log == ["connect", "hello", "end", "close", "connect", "hello"]


def test_a_device_that_is_silent_because_it_is_gone_is_lost() -> None:
    network = Network(connects=[None, REFUSED], requests=[NoAnswerError()])
    with pytest.raises(DeviceLostError, match="Connection refused"):
        network.transport.request(END)


def test_an_error_of_the_worker_keeps_the_connection() -> None:
    network = Network(requests=[{"protocol": 2, "ok": False, "error": "no such network"}])
    with pytest.raises(MeasurementError, match="no such network"):
        network.transport.request(END)
    network.transport.request(END)
    assert network.log == ["connect", "hello", "end", "end"]


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        (b'{"protocol": 2, "ok"', "must be one line in JSON"),
        ({"protocol": 1, "ok": True}, "must be of protocol 2, got '1'"),
        ({"protocol": 2, "ok": True, "cores": "all", "memory_bytes": [1]}, "the answer to 'begin', field 'cores'"),
        ({"protocol": 2, "ok": True}, "the answer to 'begin' must have the field 'cores'"),
    ],
)
def test_a_tampered_answer_is_refused_and_the_line_not_used_again(answer: Any, rule: str) -> None:
    network = Network(requests=[answer])
    with pytest.raises(MeasurementError, match=rule):
        network.transport.request(begin("x"))
    assert network.log == ["connect", "hello", "begin", "close"]


def test_an_interrupt_closes_the_connection() -> None:
    network = Network()
    network.transport.request(END)

    def interrupt(deadline: float | None) -> bytes:
        raise KeyboardInterrupt

    network.transport._connection.receive = interrupt  # type: ignore[union-attr]
    with pytest.raises(KeyboardInterrupt):
        network.transport.request(END)
    assert network.log[-1] == "close"


# --- over a command


def python(code: str) -> CommandTransport:
    return CommandTransport((sys.executable, "-c", code), lambda seconds: None)


def test_a_command_that_does_not_exist_is_said_at_once() -> None:
    pauses: list[float] = []
    with pytest.raises(DeviceLostError, match="must be a program, got 'no-such-ssh'"):
        CommandTransport(("no-such-ssh", "board"), pauses.append).request(END)
    assert pauses == []


def test_a_command_that_ends_at_once_is_quoted() -> None:
    with pytest.raises(DeviceLostError, match=r"ended with status 255 saying 'ssh: no route to board' \(4 attempts\)"):
        python(
            "import os, sys; sys.stderr.write('banner\\nssh: no route to board\\n'); sys.stderr.flush(); os._exit(255)"
        ).request(END)


def test_a_command_that_speaks_something_else_is_said_at_once() -> None:
    with pytest.raises(DeviceLostError, match="must be one line in JSON, got b'Welcome to board'"):
        python("print('Welcome to board', flush=True); input()").request(END)


def test_another_version_on_the_device_is_said_at_once() -> None:
    with pytest.raises(DeviceLostError, match="must be of protocol 2, got '1': install the same version"):
        python('print(\'{"protocol": 1, "ok": true}\', flush=True); input()').request(END)


METER = (sys.executable, "-m", "parefront.hardware_profiles.transport.meter_program")


def n_uploads(folder: Path) -> list[int]:
    """When each stored network came: it was not sent again where these stay the same."""
    return sorted(path.stat().st_ctime_ns for path in folder.glob("parefront-artefacts-*/*/model.onnx"))


def measure_across_a_kill(
    transport: RemoteTransport, paths: list[Path], folder: Path, worker_of: Callable[[], int]
) -> None:
    """Measures; kills the worker between two bursts; measures on."""
    try:
        names = [transport.place(path) for path in paths]
        transport.request(begin(*names))
        transport.request(bursts(*names))
        sent = n_uploads(folder)
        assert len(sent) == len(paths)
        os.kill(worker_of(), signal.SIGKILL)
        answer = transport.request(bursts(*names))
        assert [len(runs) > 0 for runs in answer["runs_ms"]] == [True, True]
        assert n_uploads(folder) == sent
        transport.request(END)
    finally:
        transport.close()


def test_a_measurement_survives_the_death_of_its_worker_behind_a_command(
    write_network: WriteNetwork, private_folder: Path
) -> None:
    transport = CommandTransport(METER)
    paths = [write_network("a.onnx", 4), write_network("b.onnx", 5, data_name="b.data")]
    measure_across_a_kill(
        transport,
        paths,
        private_folder,
        lambda: transport._connection._process.pid,  # type: ignore[union-attr]
    )


def test_what_the_worker_refuses_leaves_it_alive(write_network: WriteNetwork, private_folder: Path) -> None:
    transport = CommandTransport(METER, lambda seconds: None)
    good, cut = write_network("a.onnx"), write_network("b.onnx", 8)
    cut.write_bytes(cut.read_bytes()[:-7])
    try:
        name = transport.place(good)
        for path, rule in ((cut, "must be an ONNX file"), (private_folder / "a.pt2", "must exist")):
            with pytest.raises(MeasurementError, match=rule):
                transport.place(path)
        with pytest.raises(MeasurementError, match="must name networks by their digest"):
            transport.request(begin(str(good)))
        worker = transport._connection._process.pid  # type: ignore[union-attr]
        transport.request(begin(name))
        assert transport._connection._process.pid == worker  # type: ignore[union-attr]
    finally:
        transport.close()


# --- over a socket


def test_a_measurement_survives_the_death_of_its_worker_behind_a_port(
    write_network: WriteNetwork, private_folder: Path, start_listener: Callable[..., Any]
) -> None:
    listener = start_listener()
    paths = [write_network("a.onnx", 4), write_network("b.onnx", 5)]
    measure_across_a_kill(SocketTransport(listener.address), paths, private_folder, lambda: listener.workers()[0])


def test_a_dead_listener_is_a_lost_device(start_listener: Callable[..., Any]) -> None:
    listener = start_listener()
    pauses: list[float] = []
    transport = SocketTransport(listener.address, pauses.append)
    transport.request(END)
    (worker,) = listener.workers()
    os.kill(listener.process.pid, signal.SIGKILL)
    listener.process.wait(20)
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(DeviceLostError, match=rf"'{listener.address}' must be reachable, but Connection refused"):
        transport.request(END)
    assert pauses == list(PAUSES_S)


def test_whoever_waits_for_the_device_is_told(
    write_network: WriteNetwork, private_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    core = min(os.sched_getaffinity(0))
    transport = CommandTransport(METER)
    lease = CoreLease([core], folder=private_folder)
    try:
        name = transport.place(write_network())
        with (
            lease,
            caplog.at_level(logging.WARNING),
            pytest.raises(MeasurementError, match="must be free for measuring"),
        ):
            transport.request(begin(name, lease_timeout_s=1.0))
        assert f"is not ready yet: another measurement holds core {core}" in caplog.text
        assert transport.request(begin(name))["cores"] == [core]
    finally:
        transport.close()


def test_no_address_is_refused_before_anything_is_done() -> None:
    with pytest.raises(MeasurementError, match="must be HOST:PORT"):
        SocketTransport("board")
