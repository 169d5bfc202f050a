"""Every flag of every command may stand in a YAML file: `--config FILE`; what the command line says wins."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from ..hardware_profiles.errors import SearchError, unknown_name

OPTION = "config"
Value = str | list[str]
"""A flag as text, exactly as it would be typed; a list where the flag may be repeated."""


def accept_config(command: Callable[..., None]) -> Callable[..., None]:
    """A command with one more option, `--config FILE`, that fills in what is not on the command line.

    Args:
        command: A Typer command.

    Returns:
        The same command; the option is read before all others and never reaches `command` itself.
    """
    signature = inspect.signature(command, eval_str=True)
    option = inspect.Parameter(OPTION, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_CONFIG)

    @functools.wraps(command)
    def run(*positional: object, config: Path | None = None, **named: object) -> None:
        command(*positional, **named)

    run.__signature__ = signature.replace(  # type: ignore[attr-defined]  # what Typer reads
        parameters=[*signature.parameters.values(), option]
    )
    run.__annotations__ = {**inspect.get_annotations(command, eval_str=True), OPTION: _CONFIG}
    return run


def read_config(path: Path, flags: Mapping[str, Sequence[str]], repeatable: frozenset[str]) -> dict[str, Value]:
    """Reads a file of `flag: value` lines.

    Values stay text, so that they are checked as on the command line: `trials: 12.5` is as wrong as `--trials 12.5`,
    and `fold/x: on` does not become a truth value.

    Args:
        path: YAML. Flags by their long names without dashes in front; `-` and `_` are the same.
        flags: The names in the file, by the name that the result has for each.
        repeatable: Names, as the result has them, of what may be given several times: a list, or a mapping that stands
            for `key=value` each.

    Raises:
        SearchError: No such file, no YAML, an unknown name, or a value of the wrong form.
    """
    content = read_mapping(path, "--config")
    if content is None:
        raise SearchError(f"{path}: must hold `flag: value` lines, for instance `trials: 100`")
    return check_flags(str(path), content, flags, repeatable)


def check_flags(
    where: str, content: Mapping[Any, Any], flags: Mapping[str, Sequence[str]], repeatable: frozenset[str]
) -> dict[str, Value]:
    """Flags as a file holds them, by the names that `flags` has for them; the rest is as in `read_config`.

    Args:
        where: They stand, for messages.
        content: What was read.
        flags: The names in the file, by the name that the result has for each.
        repeatable: Names, as the result has them, of what may be given several times.

    Raises:
        SearchError: An unknown name, or a value of the wrong form.
    """
    known = {name.replace("_", "-"): target for target, names in flags.items() for name in names}
    values: dict[str, Value] = {}
    for key, value in content.items():
        name = str(key).replace("_", "-")
        if name not in known:
            raise SearchError(f"{where}: {unknown_name('flag', str(key), known)}")
        target = known[name]
        values[target] = _several(where, name, value) if target in repeatable else _one(where, name, value)
    return values


def read_mapping(path: Path, what: str) -> dict[Any, Any] | None:
    """The content of a YAML file, all values as text; None where it is no mapping.

    Args:
        path: The file.
        what: It is, for messages.

    Raises:
        SearchError: No such file, or no YAML.
    """
    try:
        # BaseLoader builds text, lists and mappings and nothing else.
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SearchError(f"{what} must be a readable YAML file, got {str(path)!r} ({reason})") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be parsed"
        raise SearchError(f"{path}{where}: must be valid YAML: {problem}") from error
    return content if isinstance(content, dict) else None


def _one(where: str, name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        got = "nothing" if value == "" else f"a {'mapping' if isinstance(value, dict) else 'list'}"
        raise SearchError(f"{where}: {name} must have one value, got {got}: write `{name}: VALUE`")
    return value


def _several(where: str, name: str, value: object) -> list[str]:
    if isinstance(value, dict):
        return [f"{key}={_one(where, f'{name}: {key}', each)}" for key, each in value.items()]
    if isinstance(value, list):
        return [_one(where, name, each) for each in value]
    return [_one(where, name, value)]


def _fill_in(context: typer.Context, path: Path | None) -> None:
    """Makes the file's values the defaults of a command that is about to be parsed."""
    if path is None or context.resilient_parsing:
        return
    values = read_config(path, *flags_of(context.command))
    context.default_map = {**(context.default_map or {}), **values}


def flags_of(command: Any) -> tuple[dict[str, list[str]], frozenset[str]]:
    """The flags of a command and which of them may be repeated, as `read_config` takes them.

    Args:
        command: From Click, or from the copy of it in Typer, which share no public class.
    """
    flags: dict[str, list[str]] = {}
    repeatable = set()
    for parameter in command.params:
        if parameter.name in (None, OPTION):
            continue
        is_option = parameter.param_type_name == "option"
        flags[parameter.name] = [
            name.removeprefix("--") for name in parameter.opts if name.startswith("--") or not is_option
        ]
        if getattr(parameter, "multiple", False):
            repeatable.add(parameter.name)
    flags.pop("help", None)
    return flags, frozenset(repeatable)


_CONFIG = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        callback=_fill_in,
        is_eager=True,
        help="YAML with any of these as `flag: value`, TASK as `task: ...`; flags on the command line win.",
    ),
]
