"""Candidates that are evaluated by a formula: the same for the same configuration, in no time."""

import os
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from parefront.evaluators import CostTables, Evaluation
from parefront.evaluators.evaluator import Score
from parefront.hardware_profiles import HardwareProfile
from parefront.hardware_profiles.runtimes import OperatorTime
from parefront.search import RunDirectory, read_trials
from parefront.search.ended import as_trial
from parefront.search.proposal import Proposal
from parefront.search.ray_cluster import connected
from parefront.search.record import Record
from parefront.search.session import run_search
from parefront.search.settings import SearchSettings
from parefront.search.trial import Fidelity, State, Trial
from parefront.search.workers import Workers
from parefront.spaces import Choice, Configuration, SearchSpace, Site
from parefront.spaces.network import Layer
from parefront.spaces.quantize import bits_per_weight
from parefront.spaces.space import LayerWidths
from parefront.tasks import Task


@pytest.fixture
def small_space() -> SearchSpace:
    """Two 3 x 3 convolutions on 8 x 8 pixels, 4 → 32 → 8 channels; 4 widths, 2 x 2 bits, 3 ranks and a fold."""
    first = Layer("a", "conv", 4, 32, (3, 3), (1, 1), 1, 64)
    second = Layer("b", "conv", 32, 8, (3, 3), (1, 1), 1, 64)
    return SearchSpace(
        sites=(
            Site("fold/a", ("a", "b"), ("off", "on")),
            Site("rank/b", ("b",), ("full", "spatial:16", "spatial:8")),
            Site("prune/a", ("a",), (32, 24, 16, 8)),
            Site("bits/a", ("a",), (32, 8)),
            Site("bits/b", ("b",), (32, 8)),
        ),
        left_alone=(),
        widths={"a": LayerWidths(first, (), ("prune/a", 32)), "b": LayerWidths(second, (("prune/a", 32, 32),), None)},
    )


def scores(drop: float, latency_ms: float, size_bytes: float, half_width: float = 0.0) -> dict[str, Score]:
    """Against a baseline of 90 %."""
    return {
        "accuracy": Score("accuracy", 90 - drop, "%", True),
        "accuracy_drop": Score("accuracy_drop", drop, "pt", False, drop - half_width, drop + half_width),
        "latency_ms": Score("latency_ms", latency_ms, "ms", False, latency_ms, latency_ms),
        "size_bytes": Score("size_bytes", size_bytes, "bytes", False),
    }


class ListProposer:
    """Proposes a list, and remembers what it was told."""

    def __init__(self, configurations: Sequence[Configuration]) -> None:
        self.left, self.told = list(configurations), list[Trial]()

    def ask(self, n: int) -> list[Proposal]:
        asked, self.left = self.left[:n], self.left[n:]
        return [Proposal(configuration, "by hand") for configuration in asked]

    def tell(self, trial: Trial) -> None:
        self.told.append(trial)
        self.left = [configuration for configuration in self.left if configuration != trial.configuration]


class Formula:
    """Drop, latency and size of a configuration, from the MACs and weights of its layers."""

    def __init__(self, space: SearchSpace) -> None:
        self._space, self._tables = space, CostTables(space)

    def __call__(self, choices: Mapping[str, Choice]) -> Evaluation:
        forms = self._tables.forms(choices)
        times = tuple(
            OperatorTime(
                form.layer,
                "Conv",
                "int8" if form.bits == 8 else "fp32",
                1 + form.macs * (0.3 if form.bits == 8 else 1) / 1000,
            )
            for form in forms
        )
        drop = sum(self._drop_of(site, choices.get(site.name, site.neutral)) for site in self._space.sites)
        size = 500 + sum(form.weights * bits_per_weight(form.bits) / 8 for form in forms)
        latency_ms = sum(time.microseconds for time in times) / 1000
        return Evaluation(scores(drop, latency_ms, size), {"measure": 0.1}, Path("some.onnx"), times)

    def _drop_of(self, site: Site, choice: Choice) -> float:
        # Not the same for every site, so that there is something to find out.
        strength = site.choices.index(choice) / (len(site.choices) - 1)
        return strength**2 * (0.2 + zlib.crc32(site.name.encode()) % 100 / 50)


@pytest.fixture
def formula() -> type[Formula]:
    return Formula


TINY_TASK = Path(__file__).parent.parent / "tiny_task.py"
MakeTrial = Callable[..., Trial]


@pytest.fixture
def make_trial() -> MakeTrial:
    """A factory: without `drop` the trial failed."""

    def make(
        number: int,
        choices: Mapping[str, Choice],
        drop: float | None = None,
        latency_ms: float = 1.0,
        size_bytes: float = 1000.0,
        fidelity: Fidelity = Fidelity.SHORT,
        parent: int | None = None,
        is_verified: bool | None = None,
        half_width: float = 0.0,
    ) -> Trial:
        return Trial(
            number,
            Configuration.of(choices),
            fidelity,
            State.FAILED if drop is None else State.COMPLETE,
            {} if drop is None else scores(drop, latency_ms, size_bytes, half_width),
            origin="by hand",
            parent=parent,
            reason="TrainingError: the loss must stay finite" if drop is None else "",
            is_verified=is_verified,
        )

    return make


@pytest.fixture
def begun_run(tmp_path: Path, small_space: SearchSpace, make_trial: MakeTrial) -> Iterator[RunDirectory]:
    """A run directory whose record begins with the two baseline trials."""
    directory = RunDirectory(tmp_path)
    record = Record(directory, small_space)
    record.add(make_trial(0, {}, 0.0, 1.0, 1000))
    record.add(make_trial(1, {}, 0.1, 1.0, 1000, Fidelity.FULL, is_verified=True))
    yield directory
    assert [trial.number for trial in read_trials(directory.journal)] == list(
        range(len(read_trials(directory.journal)))
    )


@pytest.fixture
def evaluated(formula: type[Formula]) -> Callable[[SearchSpace, Proposal, int], Trial]:
    """The trial that a proposal becomes."""

    def end(space: SearchSpace, proposal: Proposal, number: int) -> Trial:
        evaluation = formula(space)(proposal.configuration)
        return as_trial(number, proposal, State.COMPLETE, Fidelity.SHORT, evaluation)

    return end


# --- searches on a real network

N_TRIALS, N_FINALS = 7, 2  # of `finished_run`


@pytest.fixture
def finished(finished_run: Any) -> RunDirectory:
    return finished_run.directory


@pytest.fixture
def search(tiny_task: Task, fast_profile: HardwareProfile) -> Callable[..., list[Trial]]:
    """Goes on with a run as `finished_run` does; arguments change one thing each."""

    def run(
        directory: RunDirectory,
        task: Task = tiny_task,
        profile: HardwareProfile = fast_profile,
        n_trials: int = N_TRIALS,
        n_final: int = N_FINALS,
        others: Sequence[HardwareProfile] = (),
        **settings: Any,
    ) -> list[Trial]:
        # What is measured again depends on the machine's noise, stored tables on the tests before; tests count trials.
        fixed = {"n_repeats": 0, "has_stored_tables": False}
        chosen = SearchSettings(n_trials, n_final, **{**fixed, **settings})
        return run_search(task, profile, chosen, directory, on_status=lambda status: None, others=others)

    return run


def copied(finished: RunDirectory, tmp_path: Path) -> RunDirectory:
    return RunDirectory(Path(shutil.copytree(finished.root, tmp_path / "copy")))


@pytest.fixture(scope="session")
def two_workers(fast_profile: HardwareProfile) -> Iterator[Workers]:
    """A Ray of our own with room for two workers, for all tests that need one."""
    workers = Workers(str(TINY_TASK), 2)
    with connected(workers, [fast_profile]):
        yield workers


class PostgresServer:
    """A server of our own: in its own directory, reached through a socket there only, never run as root."""

    password = "not-to-be-written"

    def __init__(self, programs: Path) -> None:
        # Not in pytest's directory, which only its owner may enter.
        self.root, self._programs = Path(tempfile.mkdtemp(prefix="parefront-postgres-")), programs
        self._as_user: dict[str, object] = {}
        if os.geteuid() == 0:
            shutil.chown(self.root, "postgres", "postgres")
            self._as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}

    @property
    def url(self) -> str:
        return f"postgresql://postgres:{self.password}@/postgres?host={self.root}"

    def make(self) -> None:
        secret = self.root / "password"
        secret.write_text(self.password)
        secret.chmod(0o644)
        self._run("initdb", "--no-sync", "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8")

    def start(self) -> None:
        options = f"-c listen_addresses= -c fsync=off -c unix_socket_directories={self.root}"
        self._run("pg_ctl", "-w", "-l", str(self.root / "server.log"), "-o", options, "start")

    def stop(self) -> None:
        """As if the machine had failed: the clients are told nothing."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), "-D", str(self.root / "data"), *arguments]
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        # Into a file: the server would hold a pipe open.
        with (self.root / "programs.log").open("ab") as log:
            subprocess.run(  # type: ignore[call-overload]
                command,
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self.root,
                timeout=60,
                **self._as_user,
            )


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that a test may stop, if it starts it again."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    programs = next((place for place in places if (place / "pg_ctl").is_file()), None)
    if programs is None:
        pytest.skip("PostgreSQL's initdb and pg_ctl are not installed (Debian: postgresql)")
    server = PostgresServer(programs)
    try:
        server.make()
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(server.root, ignore_errors=True)
