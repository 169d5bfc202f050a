"""The process that measures: it holds the cores and the loaded networks, and runs bursts of inferences.

Requests, one JSON object a line, all with ``"protocol": 2``; answers carry ``"ok"``, and ``"error"`` where it is false:

- ``{"type": "begin", "runtime", "threads", "batch_size", "paths": [...], "warmup_ms", "is_fresh", "lease_timeout_s"}``
  takes the cores, loads the networks (again, where they must be fresh), runs each for the warm-up. Answer:
  ``{"cores": [...], "memory_bytes": [...]}``: what loading and the first inference of each took, null if unknown.
- ``{"type": "bursts", "order": [path, ...], "burst_ms"}`` runs one burst of each in that order. Answer: ``{"runs_ms":
  [[...], ...], "joules": [...], "wall_s", "foreign_s", "steal_s", "is_realtime"}``: the time of every inference, in the
  order asked for, and the energy per inference, null where the host does not tell.
- ``{"type": "end"}`` gives the cores back.
- ``{"type": "profile", "runtime", "threads", "batch_size", "path", "repeats", "lease_timeout_s"}`` times each operator.
  Answer: ``{"operators": [[layer, operator, precision, microseconds], ...]}``.
- ``{"type": "describe", "runtime"}`` tells what the machine is. Answer: ``{"fingerprint": {...}, "n_cores"}``.
- ``{"type": "conditions"}`` tells what goes on around it. Answer: ``{"conditions": {...}}``.

An error gives the cores back too. torch is not imported here, nor by anything here but its own runtimes.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MeasurementError, ParefrontError
from ..fingerprint import machine_fingerprint
from ..runtimes import Session, check_runtime, get_runtime
from ..runtimes.runtime import Inputs
from ..transport.messages import PROTOCOL_VERSION, Message
from ..transport.serving import serve, standard_streams
from .conditions import read_conditions
from .cores import CoreClock, available_cores, pin, realtime_priority
from .energy import EnergyCounter
from .lease import CoreLease
from .process_memory import PeakMemory

_MAX_SESSIONS = 4
_MIN_RUNS = 3
_INPUT_SEED = 0
# Linux leaves real-time threads at most 95 % of each second and then stops them for the rest. A pause of 6 % of the
# time keeps below that, and lets the machine's other programs run.
_PAUSE_FRACTION = 0.06


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A network ready to run, its input, and the memory that loading and one inference took."""

    session: Session
    inputs: Inputs
    memory_bytes: int | None


class Worker:
    """Answers requests; keeps networks loaded between them."""

    def __init__(self, resolve: Callable[[str], Path] = Path, on_wait: Callable[[str], None] | None = None) -> None:
        """Starts without cores or networks.

        Args:
            resolve: Gives the file of a network by the name that a request calls it by.
            on_wait: Told what it waits for while others hold the cores.
        """
        self._resolve, self._on_wait = resolve, on_wait
        self._all_cores = available_cores()  # Pinning changes what is available.
        self._cores: tuple[int, ...] = ()
        self._lease: CoreLease | None = None
        self._energy = EnergyCounter()
        # Path, version of the file, runtime, threads, batch -> network; the least recently used first.
        self._loaded: OrderedDict[tuple[Any, ...], _Loaded] = OrderedDict()
        self._warm: set[str] = set()
        self._current: dict[str, _Loaded] = {}
        self._handlers: dict[str, Callable[[Message], Message]] = {
            "begin": self._begin,
            "bursts": self._bursts,
            "end": self._end,
            "profile": self._profile,
            "describe": self._describe,
            "conditions": lambda request: {"conditions": read_conditions().to_json()},
        }

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
        paths = {name: self._resolve(name) for name in request["paths"]}
        self._current = {}
        if request["is_fresh"]:
            for key in [key for key in self._loaded if key[0] in map(str, paths.values())]:
                del self._loaded[key]
        self._current = {name: self._load(path, request) for name, path in paths.items()}
        for network in self._current.values():
            _burst(network, request["warmup_ms"])
        return {
            "cores": list(self._cores),
            "memory_bytes": [self._current[name].memory_bytes for name in request["paths"]],
        }

    def _bursts(self, request: Message) -> Message:
        networks = [self._current[name] for name in request["order"]]
        runs_ms, joules = [], []
        with realtime_priority() as is_realtime:
            clock = CoreClock(self._cores)
            for network in networks:
                self._energy.joules()
                runs_ms.append(_burst(network, request["burst_ms"]))
                spent_j = self._energy.joules()
                # The burst's first inference is not timed, but takes energy.
                joules.append(None if spent_j is None else spent_j / (len(runs_ms[-1]) + 1))
            spent = clock.elapsed()
        time.sleep(_PAUSE_FRACTION * spent.wall_s / len(self._cores))
        return {
            "runs_ms": runs_ms,
            "joules": joules,
            "wall_s": spent.wall_s,
            "foreign_s": spent.foreign_s,
            "steal_s": spent.steal_s,
            "is_realtime": is_realtime,
        }

    def _end(self, request: Message) -> Message:
        if self._lease is not None:
            self._lease.release()
        self._current = {}
        return {}

    def _profile(self, request: Message) -> Message:
        self._take_cores(request["threads"], request["lease_timeout_s"])
        path = self._resolve(request["path"])
        runtime = get_runtime(request["runtime"])
        inputs = _random_inputs(runtime.open_session(path, request["threads"]), request["batch_size"])
        times = runtime.profile_operators(path, inputs, request["threads"], request["repeats"])
        self._end({})
        return {"operators": [[time.layer, time.operator, time.precision, time.microseconds] for time in times]}

    def _describe(self, request: Message) -> Message:
        check_runtime(request["runtime"])
        found = machine_fingerprint(request["runtime"], len(self._all_cores))
        return {"fingerprint": asdict(found), "n_cores": len(self._all_cores)}

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
            self._lease = CoreLease(self._cores, timeout_s, on_wait=self._on_wait)
            self._lease.acquire()

    def _load(self, path: Path, request: Message) -> _Loaded:
        try:
            status = path.stat()
        except OSError as error:
            raise MeasurementError(
                f"a network to measure must exist, got {path} ({error.strerror}): export it"
            ) from error
        version = (status.st_mtime_ns, status.st_size, status.st_ino)
        key = (str(path), version, request["runtime"], request["threads"], request["batch_size"])
        if key not in self._loaded:
            if request["runtime"] not in self._warm:
                # The first load brings the runtime's libraries with it, tens of megabytes that are no network's own.
                _open(path, request)
                self._warm.add(request["runtime"])
            self._loaded[key] = _open(path, request)
        self._loaded.move_to_end(key)
        while len(self._loaded) > _MAX_SESSIONS:
            self._loaded.popitem(last=False)
        return self._loaded[key]


def _open(path: Path, request: Message) -> _Loaded:
    memory = PeakMemory()
    session = get_runtime(request["runtime"]).open_session(path, request["threads"])
    inputs = _random_inputs(session, request["batch_size"])
    session.run(inputs)
    return _Loaded(session, inputs, memory.growth_bytes())


def _random_inputs(session: Session, batch_size: int) -> Inputs:
    """Standard normal numbers for inputs of real numbers; zeros, which are valid indices, for others."""
    generator = np.random.default_rng(_INPUT_SEED)
    return tuple(
        generator.standard_normal(zeros.shape, dtype=np.float32) if zeros.dtype == np.float32 else zeros
        for zeros in session.zeros(batch_size)
    )


def _burst(network: _Loaded, burst_ms: float) -> list[float]:
    """Runs inferences for so long, at least a few; gives the time of each, in ms."""
    session, inputs = network.session, network.inputs
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
    """Serves the process that started this one, whose files it may read, until stdin ends."""
    serve(standard_streams(), Worker().handle)


if __name__ == "__main__":
    main()
