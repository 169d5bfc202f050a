"""What docs/results.md says, done."""

import re
import shutil
from pathlib import Path

import pytest

from parefront.results import Run
from parefront.results.table import CHOICE
from parefront.search.record import Record
from parefront.search.run_directory import RunDirectory
from parefront.search.trial import Trial
from parefront.spaces import SearchSpace

PAGE = (Path(__file__).parent.parent.parent / "docs" / "results.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, run: Run, trials: list[Trial]) -> Path:
    """Where the example is run: it reads `runs/x`."""
    directory = RunDirectory(tmp_path / "runs" / "x")
    directory.write_manifest(dict(run.manifest))
    shutil.copytree(run.artefacts, directory.artefacts)
    record = Record(directory, SearchSpace(run.sites, (), {}))
    for trial in trials:
        record.add(trial)
    return tmp_path


def test_the_example_runs(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(example, names)
    printed = capsys.readouterr().out
    assert printed.startswith(run.summary)
    assert "62500.0" in printed
    assert names["trial"] == run.front[-1]


def test_every_column_is_explained(run: Run) -> None:
    explained = set(re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)))
    columns = [column for column in run.table.columns if not column.startswith(CHOICE)]
    columns = ["number", *(re.sub("_(low|high)$", "", column) for column in columns)]
    assert [column for column in columns if column not in explained] == []
