import importlib.metadata
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from parefront.evaluators import Evaluation
from parefront.search import memory_guard
from parefront.search.executor import Failure, Job, Stage
from parefront.search.worker import Worker, WorkerFacts
from parefront.spaces import Configuration

DONE = Evaluation({}, {}, Path("x.onnx"))


def test_a_worker_opens_its_bench_once_and_tells_what_it_is() -> None:
    opened: list[Any] = []

    def open_bench() -> Any:
        machines = {"fast": SimpleNamespace(key="abc"), "board": SimpleNamespace(key="def")}
        opened.append(SimpleNamespace(machines=machines, structure=lambda configuration, name: DONE))
        return opened[-1]

    worker = Worker(open_bench)
    assert opened == []
    facts = worker.start()
    assert facts == WorkerFacts(os.getpid(), importlib.metadata.version("parefront"), {"fast": "abc", "board": "def"})
    for ticket in range(2):
        assert worker.run(Job(ticket, Stage.STRUCTURE, Configuration(), "x")) is DONE
    assert len(opened) == 1


def test_a_worker_that_takes_too_much_memory_cannot_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    is_over, taken = threading.Event(), [10**9]
    monkeypatch.setattr(memory_guard, "_resident_bytes", lambda: taken[-1])

    def structure(configuration: Configuration, name: str) -> Evaluation:
        is_over.wait(20)
        return DONE

    worker = Worker(lambda: SimpleNamespace(machines={}, structure=structure), max_memory_bytes=2 * 10**9)  # type: ignore[arg-type,return-value]
    assert isinstance(worker.start(), WorkerFacts)
    taken.append(5 * 10**9)
    failed = worker.run(Job(0, Stage.STRUCTURE, Configuration(), "x"))
    is_over.set()
    assert isinstance(failed, Failure)
    assert failed.is_worker_lost
    assert failed.reason.startswith("a worker may take the 2 GB of memory that its task asks for, but took 5 GB")


def test_a_bench_that_cannot_be_opened_is_told_in_one_line() -> None:
    def open_bench() -> Any:
        raise ValueError("two\nlines")

    failed = Worker(open_bench).start()
    assert isinstance(failed, Failure)
    assert failed.reason == "ValueError: two lines"
    assert "open_bench" in failed.trace
