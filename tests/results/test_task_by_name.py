from pathlib import Path

import pytest

from parefront.results.load import ResultsError
from parefront.results.task_by_name import task_by_name


def test_known_tasks_are_found() -> None:
    assert task_by_name("digits").name == "digits"
    assert task_by_name("resnet20@cifar10").name == "resnet20@cifar10"


@pytest.mark.parametrize("name", ["mine", "task.py", "task.py:evil", "task.py:a@b", "no_such_model@cifar10", ""])
def test_a_name_never_runs_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "task.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(ResultsError, match=rf"got the name '{name}' only: add --task my_task\.py"):
        task_by_name(name)
