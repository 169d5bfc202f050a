"""Finds a task: a built-in one by name, a known model on known data, or a Python file of the user's."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from ..hardware_profiles.errors import TaskError, unknown_name
from .digits import cluttered_digits, digits
from .model_on_data import EXAMPLE, cifar10_resnet20, model_on_data
from .task import Task

BUILT_IN = {"cifar10-resnet20": cifar10_resnet20, "cluttered-digits": cluttered_digits, "digits": digits}


def load_task(name: str) -> Task:
    """The task of that name, or the one that a user's file returns.

    Args:
        name: A built-in name, `MODEL@DATA` (see `model_on_data`), `my_task.py` (its function `task`) or
            `my_task.py:function`.

    Raises:
        TaskError: Unknown name, or a mistake in the file; names the file and the line.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]()
    path, _, function = name.partition(":")
    if not path.endswith(".py") and "@" in name:
        return model_on_data(name)
    if not path.endswith(".py"):
        others = f"give a model on data such as {EXAMPLE}, or a Python file such as my_task.py:task"
        raise TaskError(f"{unknown_name('task', name, BUILT_IN)}; or {others}")
    return _from_file(Path(path), function or "task")


def _from_file(path: Path, function: str) -> Task:
    if not path.is_file():
        raise TaskError(f"a task file must exist, got {str(path)!r}: check the path")
    module = _import(path)
    build = getattr(module, function, None)
    if not callable(build):
        raise TaskError(f"{path} must define a function `{function}` that returns a Task, but has none")
    line = build.__code__.co_firstlineno if hasattr(build, "__code__") else 1
    try:
        task = build()
    except Exception as error:
        raise TaskError(f"{_place(path, error, line)}: {function}() failed: {_one_line(error)}") from error
    if not isinstance(task, Task):
        raise TaskError(
            f"{path}:{line}: {function}() must return a parefront.tasks.Task, but returned {type(task).__name__}"
        )
    return task


def _import(path: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location(f"parefront_task_{path.stem}", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    # Registered, because dataclasses and pickle look their module up by name.
    sys.modules[specification.name] = module
    directory = str(path.parent.resolve())
    if directory not in sys.path:
        # For good, as Python does for a script: the task's functions may import what lies beside the file later.
        sys.path.insert(0, directory)
    try:
        specification.loader.exec_module(module)
    except SyntaxError as error:
        raise TaskError(f"{error.filename}:{error.lineno}: the task file must be valid Python: {error.msg}") from error
    except Exception as error:
        raise TaskError(f"{_place(path, error, 1)}: the task file failed on import: {_one_line(error)}") from error
    return module


def _place(path: Path, error: Exception, line: int) -> str:
    """`file:line` of the last frame in the user's file or in one beside it; `line` of the file where there is none."""
    directory = path.parent.resolve()
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename).resolve()
        if file == path.resolve():
            return f"{path}:{frame.lineno}"
        if file.parent == directory:
            return f"{path.parent / file.name}:{frame.lineno}"
    return f"{path}:{line}"


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
