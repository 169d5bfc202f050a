"""The process that measures: reads requests from stdin and writes answers to stdout, one JSON object a line.

Requests, all with ``"protocol": 1`` (answers carry ``"ok"``, and ``"error"`` where it is false):

- ``{"type": "begin", "runtime", "threads", "batch_size", "paths": [...], "warmup_ms", "lease_timeout_s"}`` takes the
  cores, loads the networks, runs each for the warm-up. Answer: ``{"cores": [...]}``.
- ``{"type": "bursts", "order": [path, ...], "burst_ms"}`` runs one burst of each in that order. Answer: ``{"runs_ms":
  [[...], ...], "wall_s", "foreign_s", "is_realtime"}``: the time of every inference, in the order asked for.
- ``{"type": "end"}`` gives the cores back.

An error gives the cores back too. The end of stdin ends the process. torch is not imported here, nor by anything here.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from .cores import CoreClock, available_cores, pin, realtime_priority
from .errors import MeasurementError, ParefrontError
from .lease import CoreLease
from .runtimes import Session, get_runtime
from .runtimes.runtime import Inputs
from .transport import PROTOCOL_VERSION, Message

_MAX_SESSIONS = 4
_MIN_RUNS = 5
_INPUT_SEED = 0
# Linux leaves real-time threads at most 95 % of each second and then stops them for the rest. A pause of 6 % of the
# time keeps below that, and lets the machine's other programs run.
_PAUSE_FRACTION = 0.06


class Worker:
    """Answers requests; keeps networks loaded between them."""

    def __init__(self) -> None:
        self._all_cores = available_cores()  # Pinning changes what is available.
        self._cores: tuple[int, ...] = ()
        self._lease: CoreLease | None = None
        # Path, version of the file, runtime, threads, batch -> network and its input; the least recently used first.
        self._loaded: OrderedDict[tuple[Any, ...], tuple[Session, Inputs]] = OrderedDict()
        self._current: dict[str, tuple[Session, Inputs]] = {}
        self._handlers = {"begin": self._begin, "bursts": self._bursts, "end": self._end}

    def handle(self, request: Message) -> Message:
        """Answers one request; an error becomes an answer and gives the cores back."""
        try:
            if request.get("protocol") != PROTOCOL_VERSION or request.get("type") not in self._handlers:
                raise MeasurementError(
                    f"a request must have protocol {PROTOCOL_VERSION} and a type of {', '.join(self._handlers)}, got "
                    f"{request.get('protocol')!r} and {request.get('type')!r}: install the same version on both sides"
                )
            return {"protocol": PROTOCOL_VERSION, "ok": True, **self._handlers[request["type"]](request)}
        except Exception as error:  # Whatever a runtime raises must reach the asking side as an answer.
            self._end({})
            message = str(error) if isinstance(error, ParefrontError) else f"{type(error).__name__}: {error}"
            return {"protocol": PROTOCOL_VERSION, "ok": False, "error": " ".join(message.split())}

    def _begin(self, request: Message) -> Message:
        self._take_cores(request["threads"], request["lease_timeout_s"])
        self._current = {path: self._load(Path(path), request) for path in request["paths"]}
        for session, inputs in self._current.values():
            _burst(session, inputs, request["warmup_ms"])
        return {"cores": list(self._cores)}

    def _bursts(self, request: Message) -> Message:
        networks = [self._current[path] for path in request["order"]]
        with realtime_priority() as is_realtime:
            clock = CoreClock(self._cores)
            runs_ms = [_burst(session, inputs, request["burst_ms"]) for session, inputs in networks]
            spent = clock.elapsed()
        time.sleep(_PAUSE_FRACTION * spent.wall_s / len(self._cores))
        return {
            "runs_ms": runs_ms,
            "wall_s": spent.wall_s,
            "foreign_s": spent.foreign_s,
            "is_realtime": is_realtime,
        }

    def _end(self, request: Message) -> Message:
        if self._lease is not None:
            self._lease.release()
        self._current = {}
        return {}

    def _take_cores(self, threads: int, timeout_s: float) -> None:
        if len(self._cores) != threads:
            self._end({})
            cores = self._all_cores[:threads]
            if len(cores) < threads:
                raise MeasurementError(f"{threads} cores must be available, got {len(cores)}: use fewer threads")
            pin(cores)
            self._cores = cores
            self._loaded.clear()  # Their threads are pinned to the old cores.
        if self._lease is None or not self._lease.is_held:
            self._lease = CoreLease(self._cores, timeout_s)
            self._lease.acquire()

    def _load(self, path: Path, request: Message) -> tuple[Session, Inputs]:
        try:
            status = path.stat()
        except OSError as error:
            raise MeasurementError(
                f"a network to measure must exist, got {path} ({error.strerror}): export it"
            ) from error
        version = (status.st_mtime_ns, status.st_size, status.st_ino)
        key = (str(path), version, request["runtime"], request["threads"], request["batch_size"])
        if key not in self._loaded:
            session = get_runtime(request["runtime"]).open_session(path, request["threads"])
            self._loaded[key] = session, _random_inputs(session, request["batch_size"])
        self._loaded.move_to_end(key)
        while len(self._loaded) > _MAX_SESSIONS:
            self._loaded.popitem(last=False)
        return self._loaded[key]


def _random_inputs(session: Session, batch_size: int) -> Inputs:
    """Standard normal numbers for inputs of real numbers; zeros, which are valid indices, for others."""
    generator = np.random.default_rng(_INPUT_SEED)
    return tuple(
        generator.standard_normal(zeros.shape, dtype=np.float32) if zeros.dtype == np.float32 else zeros
        for zeros in session.zeros(batch_size)
    )


def _burst(session: Session, inputs: Inputs, burst_ms: float) -> list[float]:
    """Runs inferences for so long, at least a few; gives the time of each, in ms."""
    session.run(inputs)  # Unmeasured: brings the weights back into the caches after the other network ran.
    runs_ms: list[float] = []
    start = now = time.perf_counter()
    while len(runs_ms) < _MIN_RUNS or (now - start) * 1e3 < burst_ms:
        before = now
        session.run(inputs)
        now = time.perf_counter()
        runs_ms.append((now - before) * 1e3)
    return runs_ms


def main() -> None:
    """Serves requests until stdin ends."""
    # Whatever a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker()
    gc.disable()  # A collection within a burst would be counted as inference.
    for line in sys.stdin:
        answers.write(json.dumps(worker.handle(json.loads(line))) + "\n")
        answers.flush()
        gc.collect()


if __name__ == "__main__":
    main()
