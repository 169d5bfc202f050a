"""The commands about sweeps, as far as no Ray is needed; tests/search/test_sweep.py runs real ones."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from parefront.cli import main
from parefront.cli.errors import run_program
from parefront.search.sweep_directory import Event, Stop, SweepDirectory
from parefront.search.sweep_plan import SweepPlan, SweepSearch

TESTS = Path(__file__).parent.parent
TASK, PROFILE = TESTS / "tiny_task.py", TESTS / "fast.yaml"
SWEEP = f"tasks: [{TASK}]\nhardware: [{PROFILE}]\ncommon: {{trials: 4, finals: 1}}\nout: out\n"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the program in an empty directory, in this process; gives its status and what it printed."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["parefront", *arguments])
        with pytest.raises(SystemExit) as ended:
            run_program(main.app)
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


def begin(root: Path, *names: str) -> SweepDirectory:
    searches = tuple(
        SweepSearch(name, "tiny", "fast", "default", 0, {"out": str(root / name)}, n_trials=4) for name in names
    )
    SweepDirectory(root).write(SweepPlan(searches, 1, 1, root, "1.2"))
    return SweepDirectory(root)


@pytest.mark.parametrize("command", [("sweep",), ("sweep", "run")], ids=["short", "long"])
def test_a_dry_run_prints_the_plan_and_starts_nothing(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    status, printed, _ = run(*command, "sweep.yaml", "--dry-run")
    assert status == 0
    assert "tiny.fast.default.s0" in printed
    assert "unknown until a first run" in printed
    # 4 short fine-tunes of 256 samples, and 2 full ones of 512: the final member's and the baseline's.
    assert "≤ 2,048" in printed
    assert not (tmp_path / "out").exists()


def test_what_is_wrong_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(f"{SWEEP}concurency: 2\n")
    status, _, error = run("sweep", "sweep.yaml")
    assert status == 1
    assert error == "error: sweep.yaml: unknown key 'concurency': known keys are " + error.split("known keys are ")[1]
    assert error.count("\n") == 1


def test_another_sweep_in_the_same_directory_is_refused(run: Run, tmp_path: Path) -> None:
    begin(tmp_path / "out", "tiny.fast.default.s0")
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    status, _, error = run("sweep", "sweep.yaml")
    assert status == 1
    assert "a sweep goes on only as it began" in error


def test_status_comes_from_files_alone(run: Run, tmp_path: Path) -> None:
    directory = begin(tmp_path / "out", "a", "b", "c")
    directory.note("a", Event.BEGAN)
    directory.note("b", Event.BEGAN)
    directory.note("b", Event.FAILED, error="no luck")
    status, printed, _ = run("sweep", "status", "out")
    assert status == 0
    assert "0 of 3 searches finished, 1 waiting, 1 interrupted, 1 failed" in printed
    assert "b failed: no luck" in printed
    status, printed, _ = run("sweep", "status", "out", "--json")
    states = [each["state"] for each in json.loads(printed)["searches"]]
    assert states == ["interrupted", "failed", "waiting"]
    status, printed, _ = run("sweep", "status", "out", "--csv")
    head, *rows = printed.splitlines()
    assert head.startswith("name,task,hardware,setting,seed,state,")
    assert rows[1].startswith("b,tiny,fast,default,0,failed,0,4,")


def test_stop_asks_only_a_sweep_that_runs(run: Run, tmp_path: Path) -> None:
    directory = begin(tmp_path / "out", "a")
    status, _, error = run("sweep", "stop", "out")
    assert status == 1
    assert "only a sweep that runs can be stopped, but nobody runs out" in error
    with directory.driven():
        assert run("sweep", "stop", "out")[0] == 0
        assert directory.stop() is Stop.AFTER_SEARCHES
        status, printed, _ = run("sweep", "stop", "out", "--now")
        assert directory.stop() is Stop.NOW
    assert "`parefront sweep resume out` goes on" in printed


@pytest.mark.parametrize("command", ["status", "stop", "resume"])
def test_what_is_no_sweep_is_said(run: Run, command: str) -> None:
    status, _, error = run("sweep", command, "nowhere")
    assert status == 1
    assert "must hold sweep.json" in error


def test_a_sweep_that_was_moved_is_refused(run: Run, tmp_path: Path) -> None:
    begin(tmp_path / "out", "a")
    (tmp_path / "out").rename(tmp_path / "moved")
    status, _, error = run("sweep", "resume", "moved")
    assert status == 1
    assert f"a sweep goes on only where it began, {tmp_path / 'out'}" in error


def test_a_cluster_that_does_not_answer_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP.replace("out: out", "out: /shared/out"))
    status, _, error = run("sweep", "submit", "sweep.yaml", "--address", "http://127.0.0.1:1")
    assert status == 1
    assert "a job server of Ray must answer at http://127.0.0.1:1" in error
    status, _, error = run("sweep", "submit", "sweep.yaml", "--address", "127.0.0.1:8265")
    assert "must be like http://HOST:8265" in error


def test_the_group_is_part_of_the_program() -> None:
    assert "sweep" in typer.main.get_command(main.app).commands  # type: ignore[attr-defined]
