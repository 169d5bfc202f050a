"""Flags from a YAML file, alone and as a command of a real program takes them."""

from pathlib import Path
from typing import Annotated

import pytest
import typer

from parefront.cli.config import accept_config, read_config
from parefront.hardware_profiles.errors import SearchError

FLAGS = {"task": ["task"], "max_size": ["max-size"], "as_json": ["json"], "assignments": ["set"]}
REPEATABLE = frozenset({"assignments"})


def write(folder: Path, text: str) -> Path:
    path = folder / "search.yaml"
    path.write_text(text)
    return path


def read(folder: Path, text: str) -> dict[str, str | list[str]]:
    return dict(read_config(write(folder, text), FLAGS, REPEATABLE))


def test_values_stay_as_they_are_typed(tmp_path: Path) -> None:
    text = "task: digits\nmax_size: 1e3\njson: yes\nset:\n  fold/x: on\n  prune/y: 48\n  bits/*: 8\n"
    assert read(tmp_path, text) == {
        "task": "digits",
        "max_size": "1e3",
        "as_json": "yes",
        "assignments": ["fold/x=on", "prune/y=48", "bits/*=8"],
    }


def test_a_dash_and_an_underscore_are_the_same(tmp_path: Path) -> None:
    assert read(tmp_path, "max-size: 1MB") == read(tmp_path, "max_size: 1MB") == {"max_size": "1MB"}


def test_what_may_be_repeated_may_also_be_a_list_or_one_value(tmp_path: Path) -> None:
    assert read(tmp_path, "set: [a=1, b=2]") == {"assignments": ["a=1", "b=2"]}
    assert read(tmp_path, "set: a=1") == {"assignments": ["a=1"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tasks: digits", r"search.yaml: unknown flag 'tasks': known flags are task, "),
        ("task: [a, b]", r"task must have one value, got a list: write `task: VALUE`"),
        ("task:\n  a: b", r"task must have one value, got a mapping"),
        ("task:", r"task must have one value, got nothing"),
        ("set:\n  fold/x: [on]", r"set: fold/x must have one value, got a list"),
        ("- task", r"must hold `flag: value` lines"),
        ("task: 'x\njson: no", r"search.yaml:\d+: must be valid YAML: "),
    ],
    ids=["name", "list", "mapping", "nothing", "choice", "form", "yaml"],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SearchError, match=message) as caught:
        read(tmp_path, text)
    assert len(str(caught.value).splitlines()) == 1


def test_tags_build_no_objects(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="must have one value"):
        read(tmp_path, "task: !!python/object/apply:os.getcwd []")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match=r"--config must be a readable YAML file, got .*nowhere.yaml"):
        read_config(tmp_path / "nowhere.yaml", FLAGS, REPEATABLE)


# --- on a command


def run(*arguments: object) -> dict[str, object]:
    """What a command of two flags and an argument receives."""
    received: dict[str, object] = {}

    def command(
        task: Annotated[str, typer.Argument()],
        trials: Annotated[int, typer.Option(min=0)] = 60,
        sites: Annotated[list[str] | None, typer.Option("--set")] = None,
        is_quick: Annotated[bool, typer.Option("--quick")] = False,
    ) -> None:
        received.update(task=task, trials=trials, sites=sites, is_quick=is_quick)

    app = typer.Typer()
    app.command()(accept_config(command))
    app([str(each) for each in arguments], standalone_mode=False)
    return received


def test_the_file_fills_in_what_is_not_on_the_command_line(tmp_path: Path) -> None:
    path = write(tmp_path, "task: digits\ntrials: 12\nset: {a: 1}\nquick: true\n")
    assert run("--config", path) == {"task": "digits", "trials": 12, "sites": ["a=1"], "is_quick": True}


def test_the_command_line_wins(tmp_path: Path) -> None:
    path = write(tmp_path, "task: digits\ntrials: 12\nset: {a: 1}\n")
    assert run("other", "--config", path, "--trials", 3, "--set", "b=2") == {
        "task": "other",
        "trials": 3,
        "sites": ["b=2"],
        "is_quick": False,
    }


@pytest.mark.parametrize("value", ["12.5", "true", "many", "-1"])
def test_a_wrong_type_is_refused_as_on_the_command_line(tmp_path: Path, value: str) -> None:
    messages = []
    for arguments in (("digits", f"--trials={value}"), ("--config", write(tmp_path, f"task: x\ntrials: {value}"))):
        with pytest.raises(typer.BadParameter) as caught:
            run(*arguments)
        messages.append(caught.value.format_message())
    assert "'--trials'" in messages[0]
    assert messages[0] == messages[1]


def test_what_neither_gives_is_missing(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        run("--config", write(tmp_path, "trials: 3"))
    assert caught.value.format_message().lower().startswith("missing argument 'task'")
