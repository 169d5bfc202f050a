"""A search over two Ray nodes on one machine, one of which is lost half-way.

    python -m benchmarks.cluster_nodes [--lose worker|node|link|nothing] [--task TASK] [--hardware FILE]
        [--hardware-here FILE] [--out FILE]

Each node lives in a network namespace of its own; the search runs in the first one, the device is on the second one
(that of `--hardware-here`, if it is given, on the first one), which has a temporary folder of its own, and so neither
the run's directory nor a trained baseline. Each node has one core, so that of the two workers one is on each. Where
namespaces are not permitted (they take root) both nodes are on the loopback address and share all files; which of the
two it was is in the output.

What is lost once both workers have made a network: a `worker` of the second node is killed; all processes of that
`node` are killed and it is started again ten seconds later; its `link` is cut silently for a minute, then the same.

Prints one JSON object, which also goes into `benchmarks/results/cluster_nodes.json`, beside those of other tasks and
losses:

- `nodes`: `namespaces` or `loopback`; `lose`: what was lost.
- `n_trials`, `n_failed`: of the record, baselines and final members included.
- `lost`, `doubled`: candidates and final members that are missing, and configurations that were recorded twice. Both
  should be 0.
- `n_workers_died`: as the run's log has it.
- `seconds`: of the search, by wall clock.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parefront.hardware_profiles import load_profile
from parefront.search import Fidelity, read_trials

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "cluster_nodes.json"
TASK, HARDWARE = ROOT / "tests" / "tiny_task.py", ROOT / "tests" / "fast.yaml"
PROGRAMS = Path(sys.executable).parent
PORT = 6379
START_S = 240.0
N_TRIALS, N_SHORTS, N_FINALS = 6, 3, 1
LOSSES = ("worker", "node", "link", "nothing")


@dataclass(frozen=True, slots=True)
class Node:
    """Where processes of one node run.

    Attributes:
        namespace: Of the network; empty on the loopback address.
        address: Of the node.
    """

    namespace: str
    address: str

    def command(self, *arguments: object) -> list[str]:
        """A command as it is run there."""
        words = [str(each) for each in arguments]
        return ["ip", "netns", "exec", self.namespace, *words] if self.namespace else words


class TwoNodes:
    """A Ray cluster of two nodes with one core each; a context manager that ends them.

    Attributes:
        kind: `namespaces` or `loopback`.
        address: Where the first one is reached.
    """

    def __init__(self, second: Path, first: Path | None = None) -> None:
        """Nothing is started yet.

        Args:
            second: The hardware profile whose device the second node offers.
            first: The one whose device the first node offers.
        """
        self.hardware = [second] if first is None else [second, first]
        self._offered = {"first": _offered(first), "second": _offered(second)}
        self._name = f"pf{os.getpid()}"
        self._folder = Path(tempfile.mkdtemp(prefix="pf-", dir="/tmp"))  # Ray's sockets take short paths only.
        # Agents are slow to start on a busy machine. The token keeps others out of a Ray that runs what it is sent.
        self.environment = {
            **os.environ,
            "RAY_agent_register_timeout_ms": "100000",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> TwoNodes:
        if PROGRAMS.is_relative_to("/tmp"):
            raise RuntimeError(
                f"the second node has a /tmp of its own, so that it cannot see {PROGRAMS}: move the project"
            )
        self.kind = "namespaces" if self._open_namespaces() else "loopback"
        if self.kind == "namespaces":
            self.first, self.second = Node(f"{self._name}a", "10.77.0.1"), Node(f"{self._name}b", "10.77.0.2")
        else:
            self.first, self.second = Node("", "127.0.0.1"), Node("", "127.0.0.2")
        self.address = f"{self.first.address}:{PORT}"
        try:
            head = ("--head", f"--port={PORT}", f"--temp-dir={self._folder}", "--include-dashboard=false")
            self._start("first", self.first, *head)
            self.start_second()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for name in list(self._started):
            self.kill(name)
        if self.kind == "namespaces":
            self._close_namespaces()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start_second(self) -> None:
        """Starts the second node, again where it was killed, and waits for it."""
        self._start("second", self.second, f"--address={self.address}")

    def pids(self, name: str) -> dict[int, str]:
        """The processes of the `first` or `second` node and how each is called."""
        node = self.first if name == "first" else self.second
        if node.namespace:
            listed = subprocess.run(["ip", "netns", "pids", node.namespace], capture_output=True, text=True, check=True)
            found = [int(pid) for pid in listed.stdout.split()]
        else:
            found = _with_descendants(self._started[name].pid)
        return {pid: title for pid in found if (title := _title(pid))}

    def kill(self, name: str) -> None:
        """Ends all processes of a node at once."""
        for pid in self.pids(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._started.pop(name).wait()

    def cut(self, *, is_cut: bool) -> None:
        """Cuts the link to the second node without a word, or mends it."""
        assert self.kind == "namespaces", "the loopback address cannot be cut"
        _ip("-n", self.second.namespace, "link", "set", "vb", "down" if is_cut else "up")

    def _start(self, name: str, node: Node, *arguments: str) -> None:
        log = self._folder / f"{name}.log"
        ray = [PROGRAMS / "ray", "start", f"--node-ip-address={node.address}", "--num-cpus=1", *arguments]
        ray += [f"--resources={self._offered[name]}"]
        ray += ["--object-store-memory=80000000", "--disable-usage-stats", "--block"]
        if name == "second" and node.namespace:
            # `ip netns exec` gives it mounts of its own, too.
            own = 'mount -t tmpfs tmpfs /tmp && XDG_CACHE_HOME=/tmp/cache exec "$@"'
            ray = ["sh", "-c", own, "sh", *ray]
        with log.open("wb") as file:
            command = node.command(*ray)
            self._started[name] = subprocess.Popen(command, stdout=file, stderr=file, env=self.environment)
        begun = time.monotonic()
        while "Ray runtime started" not in log.read_text():
            if self._started[name].poll() is not None or time.monotonic() - begun > START_S:
                raise RuntimeError(f"the {name} node did not start: {log.read_text()[-2000:]}")
            time.sleep(0.2)

    def _open_namespaces(self) -> bool:
        """Makes two joined ones; gives whether that is permitted."""
        first, second = f"{self._name}a", f"{self._name}b"
        try:
            _ip("netns", "add", first)
            _ip("netns", "add", second)
            _ip("link", "add", "va", "netns", first, "type", "veth", "peer", "name", "vb", "netns", second)
            for namespace, link, address in ((first, "va", "10.77.0.1/24"), (second, "vb", "10.77.0.2/24")):
                _ip("-n", namespace, "addr", "add", address, "dev", link)
                for each in (link, "lo"):
                    _ip("-n", namespace, "link", "set", each, "up")
        except (OSError, subprocess.CalledProcessError):
            self._close_namespaces()
            return False
        return True

    def _close_namespaces(self) -> None:
        for end in "ab":
            with contextlib.suppress(OSError, subprocess.CalledProcessError):
                _ip("netns", "del", f"{self._name}{end}")


def searched(nodes: TwoNodes, task: Path, out: Path) -> subprocess.Popen[str]:
    """Starts a search on both nodes, by the command line, in the namespace of the first one."""
    command = nodes.first.command(
        *(PROGRAMS / "parefront", "search", task, "--out", out, "--no-stored-tables"),
        *(word for path in nodes.hardware for word in ("--hardware", path)),
        *("--trials", N_TRIALS, "--shorts", N_SHORTS, "--finals", N_FINALS, "--remeasure", 0),
        *("--workers", 2, "--address", nodes.address),
    )
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=nodes.environment)


def wait_for_networks(search: subprocess.Popen[str], out: Path, n: int) -> bool:
    """Waits until so many candidates' networks lie in the run's directory; gives whether the search still goes on."""
    while search.poll() is None and len(list(out.glob("artefacts/trial-*"))) < n:
        time.sleep(0.1)
    return search.poll() is None


def kill_worker(nodes: TwoNodes) -> bool:
    """Kills the worker on the second node; gives whether there was one."""
    workers = [pid for pid, title in nodes.pids("second").items() if title.startswith("ray::ClusterWorker")]
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    return bool(workers)


def report(nodes: str, lose: str, out: Path, seconds: float) -> dict[str, Any]:
    """What became of the trials."""
    trials = read_trials(out / "journal.log")
    rungs = (Fidelity.CALIBRATED, Fidelity.SHORT, Fidelity.FULL)
    expected = dict(zip(rungs, (N_TRIALS, 1 + N_SHORTS, 1 + N_FINALS), strict=True))  # with the two baselines
    n_ended = Counter(trial.fidelity for trial in trials)
    n_by_key = Counter((trial.configuration.key, trial.fidelity) for trial in trials)
    log = (json.loads(line) for line in (out / "log.jsonl").read_text().splitlines())
    return {
        "nodes": nodes,
        "lose": lose,
        "n_trials": len(trials),
        "n_failed": sum(trial.state == "failed" for trial in trials),
        "lost": sum(max(0, n - n_ended[fidelity]) for fidelity, n in expected.items()),
        "doubled": sum(n - 1 for n in n_by_key.values()),
        "n_workers_died": sum(entry.get("event") == "worker died" for entry in log),
        "seconds": round(seconds, 1),
    }


@contextlib.contextmanager
def losing(nodes: TwoNodes, lose: str) -> Iterator[None]:
    """Loses what is to be lost, and brings a node back after the body."""
    if lose == "worker":
        kill_worker(nodes)
    elif lose == "node":
        nodes.kill("second")
    elif lose == "link":
        nodes.cut(is_cut=True)
    yield
    if lose == "link":
        nodes.kill("second")
        nodes.cut(is_cut=False)
    if lose in ("node", "link"):
        nodes.start_second()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lose", choices=LOSSES, default="node")
    parser.add_argument("--task", type=Path, default=TASK)
    parser.add_argument("--hardware", type=Path, default=HARDWARE)
    parser.add_argument("--hardware-here", type=Path)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="pf-run-") as folder,
        TwoNodes(options.hardware, options.hardware_here) as nodes,
    ):
        run, begun = Path(folder) / "run", time.monotonic()
        search = searched(nodes, options.task, run)
        if wait_for_networks(search, run, 2):
            with losing(nodes, options.lose):
                time.sleep(60 if options.lose == "link" else 10)
        print(search.communicate()[0], file=sys.stderr)
        found = report(nodes.kind, options.lose, run, time.monotonic() - begun)
    print(json.dumps(found))
    known = json.loads(options.out.read_text()) if options.out.is_file() else {}
    known[f"{options.task.stem}, {options.lose} lost"] = found
    options.out.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


def _offered(profile: Path | None) -> str:
    return json.dumps({} if profile is None else {f"device:{load_profile(str(profile)).name}": 1})


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _title(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def _with_descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    with contextlib.suppress(OSError):
        return [pid, *(each for child in children.read_text().split() for each in _with_descendants(int(child)))]
    return [pid]


if __name__ == "__main__":
    main()
