"""`parefront nonlinearity` as a user meets it, and how it reads what they type."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from parefront.cli.nonlinearity import parse_strengths
from parefront.hardware_profiles.errors import SearchError

Parefront = Callable[..., subprocess.CompletedProcess[str]]
TINY_TASK = Path(__file__).parent.parent / "tiny_task.py"
QUICK = ("--training", "short", "--no-scratch")


def test_it_prints_the_answer_and_writes_data_and_figure(parefront: Parefront, tmp_path: Path) -> None:
    command = ("nonlinearity", TINY_TASK, "--lambdas", "0,20", *QUICK, "--out", tmp_path / "n")
    done = parefront(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first = next(line for line in done.stdout.splitlines() if line)
    assert first.startswith("effective degree of non-linearity ")
    assert " of 4 activations: " in first
    data = json.loads((tmp_path / "n" / "nonlinearity.json").read_text())
    assert [point["strength"] for point in data["points"]] == [0.0, 20.0]
    assert "activations-figure" in (tmp_path / "n" / "nonlinearity.html").read_text()
    again = parefront(*command, "--json", cwd=tmp_path)
    assert json.loads(again.stdout) == data


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--lambdas", "0.1,-1"), "a strength λ must be a number of at least 0, got -1"),
        (("--lambdas", ","), "a sweep must have at least one strength λ, got none"),
        (("--budget", "0"), "the budget must be at least the 1 activations that cannot go, got 0"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    parefront: Parefront, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = parefront("nonlinearity", TINY_TASK, *arguments, "--out", tmp_path / "n", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert list(tmp_path.iterdir()) == []


def test_strengths_are_read() -> None:
    assert parse_strengths("0.1, 1,10", None) == (0.1, 1.0, 10.0)
    assert parse_strengths(None, 3) is None
    assert parse_strengths("", None) == ()
    with pytest.raises(SearchError, match=r"write 0\.1,0\.25,1"):
        parse_strengths("a", None)
    with pytest.raises(SearchError, match="either --lambdas or --budget must be given, got both"):
        parse_strengths("1", 3)
