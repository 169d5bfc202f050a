"""The code blocks of docs/optuna.md run as they stand, with fewer trials."""

import re
from pathlib import Path
from typing import Any

import optuna
import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "optuna.md").read_text()
BLOCKS = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "N_TRIALS = 30\n" in block]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def run(block: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(block.replace("N_TRIALS = 30", "N_TRIALS = 3"), "docs/optuna.md", "exec"), names)
    return names


def test_the_complete_example(capsys: pytest.CaptureFixture[str]) -> None:
    names = run(BLOCKS[0])
    trials = names["study"].trials
    assert len(trials) == 3
    assert trials[0].values[0] > 80  # it has learnt the digits
    # 32·9 weights on 64 positions, 32·64·9 on 64, 1024·64 and 64·10 once.
    assert trials[0].values[1] == 288 * 64 + 18_432 * 64 + 65_536 + 640
    assert "MACs" in capsys.readouterr().out


def test_the_example_that_measures() -> None:
    block = BLOCKS[1].replace("my_task.py", str(ROOT / "tests" / "tiny_task.py"))
    names = run(block.replace("cpu-ort-1t", str(ROOT / "tests" / "fast.yaml")))
    trials = names["study"].trials
    assert len(trials) == 3
    assert all(trial.values[1] > 0 for trial in trials)
    assert names["sampler"]._proposer._costs.main.n_observed > 0  # operator times were taken


def test_the_five_lines_are_part_of_the_examples() -> None:
    assert len(BLOCKS) == 2
    assert 'directions=["maximize", "minimize", "minimize"], sampler=sampler)' in BLOCKS[0]
