"""The commands in this process: what they print, and what they refuse."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from parefront.cli.main import main
from parefront.hardware_profiles import HardwareProfile
from parefront.search.goals import parse_goals
from parefront.search.settings import SearchSettings
from parefront.search.stopping import Limits
from parefront.spaces import CompressionOptions
from parefront.tasks import Task

TESTS = Path(__file__).parent.parent
TINY_TASK, FAST_PROFILE = TESTS / "tiny_task.py", TESTS / "fast.yaml"


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left behind."""

    code: object
    output: str
    errors: str


Command = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Runs a command in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["parefront", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return Done(left.value.code, *capsys.readouterr())

    return call


def error_line(done: Done) -> str:
    assert done.code == 1
    (line,) = done.errors.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("frnt", "nowhere"), "No such command 'frnt'"),
        (("search", "digits", "--trials", "many"), "Invalid value for '--trials'"),
        (("search", "digits", "--trails", "3"), "No such option"),
        (("front",), "Missing argument 'RUN'"),
        (("inspect", "digits", "--max-size", "tiny"), "a size must be a number of bytes above 0, got 'tiny'"),
        (("inspect", "digits", "--constraint", "latency>=5ms"), "every quantity is better when lower, "),
        (("search", "digits", "--objective", "accuracy,speed"), "unknown objective 'speed': known objectives are "),
        (("search", "digits", "--objective", "size"), "a front has at least 2 objectives, got size: add one of "),
        (("search", "digits", "--objective", "size,latency@board"), "add --hardware board"),
        (("search", "digits", "--table-time", "20"), "a duration must be a number above 0 and its unit, got '20'"),
        (("search", "digits", "--constraint", "size<=2parsecs"), "the unit of size must be one of b, bytes, kb, "),
        (
            ("compress", "digits", "--fidelity", "fast"),
            "unknown fidelity 'fast': known ones are structure, short, full",
        ),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(run: Command, arguments: tuple[str, ...], message: str) -> None:
    assert message in error_line(run(*arguments))


def test_flags_may_stand_in_a_file(run: Command, tmp_path: Path) -> None:
    (tmp_path / "search.yaml").write_text(f"task: {TINY_TASK}\nhardware: nowhere.yaml\ntrials: 3\n")
    assert "got 'nowhere.yaml'" in error_line(run("search", "--config", "search.yaml"))
    (tmp_path / "wrong.yaml").write_text("trails: 3\n")
    line = error_line(run("search", "digits", "--config", "wrong.yaml"))
    assert re.search(r"wrong\.yaml: unknown flag 'trails': the closest of \d+ are trials, ", line)
    (tmp_path / "goals.yaml").write_text("objective: [accuracy, size]\nconstraint: [size<=2MB, speed<=1]\n")
    assert "unknown objective 'speed'" in error_line(run("search", "digits", "--config", "goals.yaml"))
    (tmp_path / "show.yaml").write_text("profile: cpu-ort-1t\n")
    assert "name: cpu-ort-1t" in run("hardware", "show", "--config", "show.yaml").output


def test_the_flags_of_a_search_are_its_settings(run: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[SearchSettings] = []

    def keep(task: Task, profile: HardwareProfile, settings: SearchSettings, *rest: object, **named: object) -> None:
        asked.append(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr("parefront.search.session.run_search", keep)
    amounts = ("--trials", "30", "--finals", "3", "--shorts", "20", "--remeasure", "2", "--seed", "5")
    limits = ("--max-time", "2min", "--max-cpu", "1h", "--patience", "9")
    tables = ("--table-time", "1.5 min", "--no-stored-tables", "--from", "old")
    how = (
        "--sampler",
        "tpe",
        "--promotion",
        "rank",
        "--constraint",
        "size<=2kB",
        "--importance",
        "bn",
        "--cp",
        "--operators",
    )
    assert run("search", TINY_TASK, *amounts, *limits, *tables, *how).code == 130
    assert run("search", TINY_TASK).code == 130
    assert asked == [
        SearchSettings(
            30,
            3,
            5,
            "tpe",
            CompressionOptions("bn", has_cp=True, has_operators=True),
            20,
            "rank",
            parse_goals([], ["size<=2kB"], [""]),
            Limits(120.0, 3600.0, 9),
            2,
            Path("old"),
            90.0,
            False,
        ),
        SearchSettings(60, table_seconds=5.0),
    ]


def test_without_arguments_the_help_is_shown(run: Command) -> None:
    done = run()
    assert "compress" in done.output + done.errors
    assert "error" not in done.errors


# --- inspect


def test_inspect_as_json(run: Command) -> None:
    record = json.loads(run("inspect", TINY_TASK, "--hardware", FAST_PROFILE, "--json", "--max-size", "1kB").output)
    assert record["macs"] == 312_448
    assert record["estimates"][0]["name"] == "neutral"
    assert record["targets"][0]["can_be_met"] is False


def test_inspect_says_which_limits_can_be_kept(run: Command) -> None:
    command = ("inspect", TINY_TASK, "--hardware", FAST_PROFILE)
    limits = ("--constraint", "size<=1kB, accuracy_drop<=1%", "--constraint", "macs<=1M")
    record = json.loads(run(*command, *limits, "--json").output)
    assert [(each["limit"], each["can_be_kept"]) for each in record["constraints"]] == [
        ("size<=1kB", False),
        ("accuracy_drop<=1pt", None),
        ("macs<=1M", True),
    ]
    shown = run(*command, *limits)
    assert shown.code == 0  # a limit that cannot be kept is an answer, not a mistake
    assert "size<=1kB: cannot be kept (the nearest, smallest" in shown.output
    assert "accuracy_drop<=1pt: not known yet (only training tells)" in shown.output


def test_inspect_names_every_layer_when_asked(run: Command) -> None:
    command = ("inspect", TINY_TASK, "--hardware", FAST_PROFILE)
    short, full = (run(*command, *more).output for more in ((), ("--all",)))
    assert len(full.splitlines()) > len(short.splitlines())


# --- compress


def test_a_structure_needs_no_training_and_may_start_from_a_file(run: Command, tmp_path: Path) -> None:
    command = ("compress", f"{TINY_TASK}:hasty", "--hardware", FAST_PROFILE, "--fidelity", "structure")
    done = run(*command, "--set", "prune/*=50%", "--to", "a.onnx")
    assert done.code == 0, done.errors
    assert "nothing was trained, so its accuracy is not known" in done.output
    assert "accuracy %" not in done.output
    choices = json.loads((tmp_path / "a.json").read_text())["choices"]
    assert choices == {"prune/hidden": 16, "prune/stem": 8, "prune/block.conv1": 8}
    # The written configuration may be given again, and changed.
    assert run(*command, "--from", "a.json", "--set", "prune/hidden=8", "--to", "b.onnx").code == 0
    assert json.loads((tmp_path / "b.json").read_text())["choices"] == {**choices, "prune/hidden": 8}
    assert (tmp_path / "b.onnx").stat().st_size < (tmp_path / "a.onnx").stat().st_size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing is set: say what to compress"),
        (("--set", "bits/stems=8"), "unknown site 'bits/stems': the closest of 13 are bits/stem, "),
        (("--set", "prune/hidden=17"), "prune/hidden must be one of 16, "),
        (("--set", "fold/block.conv1=on", "--set", "bits/block.conv2=8"), "bits/block.conv2=8 has no effect: "),
        (("--from", "nowhere.json"), "--from must be a readable configuration file, got 'nowhere.json'"),
    ],
    ids=["nothing", "site", "choice", "conflict", "file"],
)
def test_a_mistake_is_found_before_anything_is_trained(
    run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    # The baseline is not in an empty cache; training it would be told on the error stream.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert message in error_line(run("compress", TINY_TASK, "--hardware", FAST_PROFILE, *arguments))
    assert list(tmp_path.iterdir()) == []


def test_several_profiles_are_told_apart_by_their_names(run: Command, tmp_path: Path) -> None:
    (tmp_path / "both.yaml").write_text(f"hardware: [{FAST_PROFILE}, {FAST_PROFILE}]\n")
    for arguments in (("--hardware", FAST_PROFILE, "--hardware", FAST_PROFILE), ("--config", "both.yaml")):
        done = run("search", TINY_TASK, *arguments)
        assert "profiles of one search must have different names, got 'fast' twice" in done.errors.splitlines()[-1]
        assert not (tmp_path / "runs").exists()


def test_what_fails_its_check_is_not_written(run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from parefront.evaluators import devices
    from parefront.evaluators.deploy import Parity

    monkeypatch.setattr(devices, "check_parity", lambda finished, session, inputs: Parity(0.5, 0.1))
    command = ("compress", TINY_TASK, "--hardware", FAST_PROFILE, "--fidelity", "short", "--set", "prune/hidden=16")
    assert "nothing was written, because the result failed its check: " in run(*command).errors
    assert list(tmp_path.iterdir()) == []


def test_compress_writes_files_that_the_runtime_can_load(run: Command) -> None:
    done = run("compress", TINY_TASK, "--set", "prune/*=50%", "--hardware", "cpu-torch", "--to", "model.onnx")
    assert error_line(done) == "error: a file for runtime 'torch' must end in .pt2, got 'model.onnx': rename it"
