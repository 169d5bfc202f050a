import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from parefront.hardware_profiles import PrecisionPlan
from parefront.hardware_profiles.export.qdq import export_onnx
from parefront.hardware_profiles.measuring.cores import available_cores
from parefront.hardware_profiles.measuring.meter_worker import Worker, _burst, _Loaded
from parefront.hardware_profiles.transport.messages import PROTOCOL_VERSION, check_answer
from parefront.hardware_profiles.transport.transport import WorkerProcess


class CountingSession:
    """A session that only counts its runs."""

    def __init__(self) -> None:
        self.n_runs = 0

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        return (None, 3)

    def run(self, inputs: object) -> None:
        self.n_runs += 1


def test_a_burst_lasts_as_long_as_asked_and_discards_the_first_run() -> None:
    session = CountingSession()
    runs_ms = _burst(_Loaded(session, (), None), 5.0)  # type: ignore[arg-type]

    assert session.n_runs == len(runs_ms) + 1
    assert sum(runs_ms) >= 5.0


def test_a_burst_has_at_least_three_runs() -> None:
    assert len(_burst(_Loaded(CountingSession(), (), None), 0.0)) == 3  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _cores_stay() -> Iterator[None]:
    """A worker in this process pins it."""
    cores = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, cores)


def asked(worker: Worker, kind: str, **fields: Any) -> dict[str, Any]:
    """The answer to a request that must succeed."""
    answer = worker.handle({"type": kind, "protocol": PROTOCOL_VERSION, **fields})
    assert answer["ok"], answer
    check_answer(kind, answer)
    return answer


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "network.onnx"
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))
    export_onnx(module, (torch.zeros(2, 3, 8, 8),), PrecisionPlan.none(), path)
    return path


RUNTIME = {"runtime": "onnxruntime", "threads": 1}


def test_a_measurement_from_begin_to_end(network: Path) -> None:
    begin = {**RUNTIME, "batch_size": 2, "paths": ["a"], "warmup_ms": 1.0, "is_fresh": False, "lease_timeout_s": 60.0}
    worker = Worker(resolve={"a": network}.__getitem__)
    begun = asked(worker, "begin", **begin)
    answer = asked(worker, "bursts", order=["a", "a"], burst_ms=1.0)
    asked(worker, "end")

    assert len(begun["cores"]) == 1
    assert begun["memory_bytes"][0] is None or begun["memory_bytes"][0] >= 0
    assert [len(runs) >= 3 for runs in answer["runs_ms"]] == [True, True]
    assert answer["wall_s"] >= sum(map(sum, answer["runs_ms"])) / 1e3


def test_the_memory_of_a_network_is_without_its_runtimes_libraries(network: Path) -> None:
    """In a process of its own, where nothing was loaded before: ONNX Runtime's libraries alone take 30 MB."""
    worker = WorkerProcess()
    begin = {**RUNTIME, "batch_size": 1, "paths": [str(network)], "warmup_ms": 0.0, "is_fresh": False}
    answer = worker.request({"type": "begin", **begin, "lease_timeout_s": 60.0})
    worker.close()
    (taken,) = answer["memory_bytes"]
    assert taken is None or taken < 10 * 2**20


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_worker_that_is_not_asked_sleeps(network: Path, runtime: str) -> None:
    """Profiles of one machine share its cores: threads that spin between measurements would disturb the others'."""
    worker = WorkerProcess()
    threads = min(2, len(available_cores()))
    begin = {"runtime": runtime, "threads": threads, "batch_size": 1, "paths": [str(network)], "warmup_ms": 20.0}
    worker.request({"type": "begin", **begin, "is_fresh": False, "lease_timeout_s": 60.0})
    worker.request({"type": "end"})
    assert worker._connection is not None
    stat = Path(f"/proc/{worker._connection._process.pid}/stat")  # type: ignore[attr-defined]

    def cpu_ticks() -> int:
        return sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13]))

    time.sleep(0.5)
    before = cpu_ticks()
    time.sleep(0.5)
    spent = cpu_ticks() - before
    worker.close()
    assert spent <= 2  # ticks of 10 ms; a spinning thread would take 50


def test_networks_are_kept_unless_they_must_be_fresh(network: Path) -> None:
    worker = Worker()
    begin = {**RUNTIME, "batch_size": 1, "paths": [str(network)], "warmup_ms": 0.0, "lease_timeout_s": 60.0}
    sessions = []
    for is_fresh in (False, False, True):
        asked(worker, "begin", **begin, is_fresh=is_fresh)
        sessions.append(worker._current[str(network)].session)
    asked(worker, "end")

    assert sessions[0] is sessions[1]
    assert sessions[1] is not sessions[2]


def test_operators_are_timed_where_the_network_is_measured(network: Path) -> None:
    answer = asked(Worker(), "profile", **RUNTIME, batch_size=1, path=str(network), repeats=2, lease_timeout_s=60.0)

    assert {layer for layer, _, precision, _ in answer["operators"] if precision} == {"0", "3"}
    assert {precision for _, _, precision, _ in answer["operators"]} <= {"fp32", ""}


def test_the_machine_describes_itself() -> None:
    answer = asked(Worker(), "describe", runtime="onnxruntime")
    assert answer["fingerprint"]["n_cores"] == answer["n_cores"]
    assert answer["fingerprint"]["runtime"].startswith("onnxruntime ")


def test_requests_of_another_version_or_type_are_refused() -> None:
    for request in (
        {"type": "end", "protocol": PROTOCOL_VERSION - 1},
        {"type": "explode", "protocol": PROTOCOL_VERSION},
        {},
    ):
        answer = Worker().handle(request)
        assert answer["ok"] is False
        assert f"must have protocol {PROTOCOL_VERSION}" in answer["error"]


def test_an_unexpected_error_is_an_answer_with_its_class() -> None:
    answer = Worker().handle({"type": "bursts", "order": ["x"], "protocol": PROTOCOL_VERSION})

    assert (answer["ok"], answer["error"]) == (False, "KeyError: 'x'")


def test_the_process_ends_when_its_input_does() -> None:
    command = (sys.executable, "-m", "parefront.hardware_profiles.measuring.meter_worker")
    ended = subprocess.run(command, input=b"", capture_output=True, check=False, timeout=30)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
