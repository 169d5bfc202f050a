import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from parefront.hardware_profiles.errors import TaskError
from parefront.tasks import BUILT_IN, load_task

GOOD = """
from __future__ import annotations
from dataclasses import dataclass
import torch
from torch import nn
from parefront.tasks import Task, TaskData
from parefront.training import Split, TrainingRecipe

@dataclass
class Width:
    value: int

def task():
    recipe = TrainingRecipe(n_samples=8, learning_rate=0.1)
    data = TaskData(*(Split(torch.zeros(4, 2), torch.zeros(4, dtype=torch.long)) for _ in range(3)))
    return Task("mine", lambda: nn.Linear(2, 3), lambda: data, recipe, recipe)

def other():
    import dataclasses
    return dataclasses.replace(task(), name="other")
"""


@pytest.fixture(autouse=True)
def own_search_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Task files stay on the search path for good; here only until the test ends."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        if name.startswith(("parefront_task_", "my_")):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path) -> Path:
    """A directory in which a good task file lies."""
    (tmp_path / "my_task.py").write_text(GOOD)
    return tmp_path


def message_for(path: Path | str) -> str:
    with pytest.raises(TaskError) as error:
        load_task(str(path))
    assert "\n" not in str(error.value)
    return str(error.value)


def with_line(path: Path, line: str) -> str:
    """A task file whose third line is `line`, inside the function."""
    path.write_text(f"import os\ndef task():\n    {line}\n")
    return str(path)


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_tasks_load_by_name(name: str) -> None:
    assert load_task(name).name == name


def test_a_file_gives_its_task(write: Path) -> None:
    assert load_task(f"{write}/my_task.py").name == "mine"
    assert load_task(f"{write}/my_task.py:other").name == "other"


def test_a_file_may_import_what_lies_beside_it_now_or_later(write: Path) -> None:
    (write / "my_network.py").write_text("NAME = 'beside'\n")
    (write / "my_late.py").write_text("CALLED = 'late'\n")
    (write / "my_task.py").write_text(
        GOOD.replace('"mine"', "NAME").replace("import torch\n", "import torch\nfrom my_network import NAME\n", 1)
        + "\ndef load_later():\n    from my_late import CALLED\n    return CALLED\n"
    )
    assert load_task(f"{write}/my_task.py").name == "beside"
    assert sys.modules["parefront_task_my_task"].load_later() == "late"


def test_an_unknown_name_names_the_closest_first() -> None:
    assert message_for("clutered-digits").startswith(
        "unknown task 'clutered-digits': known tasks are cluttered-digits, digits"
    )
    assert message_for("digit").startswith("unknown task 'digit': known tasks are digits, cluttered-digits")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.py"
    assert message_for(path) == f"a task file must exist, got '{path}': check the path"


def test_a_syntax_error_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "my_task.py"
    path.write_text("import os\n\ndef task(:\n")
    assert message_for(path).startswith(f"{path}:3: the task file must be valid Python: ")


def test_an_error_on_import_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "my_task.py"
    path.write_text("import os\nimport no_such_module\n")
    assert message_for(path) == (
        f"{path}:2: the task file failed on import: ModuleNotFoundError: No module named 'no_such_module'"
    )


def test_an_error_in_a_file_beside_has_that_files_line(tmp_path: Path) -> None:
    (tmp_path / "my_broken.py").write_text("x = 1\ny = x / 0\n")
    path = tmp_path / "my_task.py"
    path.write_text("import os\nimport my_broken\n")
    assert message_for(path) == (
        f"{tmp_path / 'my_broken.py'}:2: the task file failed on import: ZeroDivisionError: division by zero"
    )


def test_an_error_in_the_function_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "my_task.py"
    message = message_for(with_line(path, "return {}['weights']"))
    assert message == f"{path}:3: task() failed: KeyError: 'weights'"


def test_an_error_inside_a_library_has_the_users_line(tmp_path: Path) -> None:
    path = tmp_path / "my_task.py"
    message = message_for(with_line(path, "import torch; torch.load('no/such.pt', weights_only=True)"))
    assert message.startswith(f"{path}:3: task() failed: FileNotFoundError: ")


def test_a_long_error_becomes_one_line(tmp_path: Path) -> None:
    path = tmp_path / "my_task.py"
    assert message_for(with_line(path, "raise ValueError('a\\n  b')")) == f"{path}:3: task() failed: ValueError: a b"


def test_a_function_that_wants_arguments_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "my_task.py"
    path.write_text("import os\ndef task(width):\n    return width\n")
    assert message_for(path).startswith(f"{path}:2: task() failed: TypeError: task() missing 1 required")


def test_another_type_is_refused_with_the_functions_line(tmp_path: Path) -> None:
    path = tmp_path / "my_task.py"
    assert message_for(with_line(path, "return 3")) == (
        f"{path}:2: task() must return a parefront.tasks.Task, but returned int"
    )


@pytest.mark.parametrize("content", ["import os\n", "task = 3\n"])
def test_a_missing_function_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "my_task.py"
    path.write_text(content)
    assert message_for(path) == f"{path} must define a function `task` that returns a Task, but has none"
    assert "`build`" in message_for(f"{path}:build")
