"""Reads a sweep's YAML file, checks every search in it before anything starts, and gives the plan."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from ..hardware_profiles import HardwareProfile, load_profile
from ..hardware_profiles.errors import ParefrontError, SearchError, unknown_name
from ..hardware_profiles.measuring.cores import available_cores
from ..search.database_url import has_secret, parse_url
from ..search.sweep_plan import OWN_FLAGS, Flags, SweepAxes, SweepPlan, SweepSearch, expand
from ..tasks import Task, load_task
from .config import Value, check_flags, flags_of, read_mapping
from .errors import command_line_problem
from .search import search

KEYS = ("tasks", "hardware", "seeds", "settings", "common", "out", "concurrency", "retries", "cpus")
_NEEDED = ("tasks", "hardware")
_OF_THE_SWEEP = (*OWN_FLAGS, "workers", "address", "trial-timeout", "dry-run")
"""Flags of a search that a sweep decides."""
_NO_SETTINGS = "default"


def read_sweep(path: Path) -> tuple[SweepPlan, Path]:
    """The plan in a file, and the directory that it belongs in.

    Args:
        path: YAML with the keys `KEYS`; see docs/cluster.md.

    Raises:
        SearchError: No such file, unknown keys or flags, or a search that could not start.
    """
    content = _checked_keys(path)
    out = Path(_text(path, content, "out", str(Path("runs") / path.stem))).absolute()
    tasks = {_named(path, text, load_task): text for text in _texts(path, content, "tasks")}
    profiles = [_profiles(path, each) for each in _list(path, content, "hardware")]
    groups = {"+".join(profile.name for profile in group.values()): list(group) for group in profiles}
    _check_different(path, "tasks", [task.name for task in tasks])
    _check_different(path, "hardware", ["+".join(profile.name for profile in group.values()) for group in profiles])
    axes = SweepAxes(
        tasks={task.name: text for task, text in tasks.items()},
        hardware=groups,
        seeds=[_whole(path, "seeds", text) for text in _texts(path, content, "seeds", ["0"])],
        settings=_settings(path, content),
        common=_flags(f"{path}: common", content.get("common") or {}),
    )
    concurrency = _whole(path, "concurrency", _text(path, content, "concurrency", "1"))
    n_cpus = len(available_cores()) // max(1, concurrency)
    n_cpus = _whole(path, "cpus", _text(path, content, "cpus", str(max(1, n_cpus))))
    by_name = {task.name: task for task in tasks}
    devices = {name: profile.host.is_local for group in profiles for name, profile in _by_name(group).items()}
    searches = [_filled(path, each, by_name[each.task], devices, n_cpus) for each in _expanded(path, axes, out)]
    plan = SweepPlan(
        searches=tuple(searches),
        concurrency=concurrency,
        retries=_whole(path, "retries", _text(path, content, "retries", "2")),
        directory=Path.cwd(),
        version=importlib.metadata.version("parefront"),
    )
    return plan, out


def check_submittable(path: Path) -> None:
    """Makes sure that a file means the same on a cluster as here.

    Args:
        path: The file; the working directory is what is uploaded.

    Raises:
        SearchError: It lies outside the working directory, or its results would be lost with the job's copy of that.
    """
    if not path.resolve().is_relative_to(Path.cwd()):
        raise SearchError(
            f"a sweep's file must lie in the directory that is uploaded, {Path.cwd()}, got {path}: go there"
        )
    out = _text(path, _checked_keys(path), "out", "")
    if not Path(out).is_absolute():
        raise SearchError(
            f"{path}: out of a submitted sweep must be an absolute path that all nodes of the cluster share, got "
            f"{out or 'none'!r}: a relative one would end with the job"
        )


def _check_different(path: Path, key: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise SearchError(f"{path}: {key} must differ in name, but two are called {name}: rename one")


def _checked_keys(path: Path) -> dict[Any, Any]:
    content = read_mapping(path, "a sweep")
    if content is None:
        raise SearchError(f"{path}: a sweep must be a mapping with the keys {', '.join(KEYS)}: write at least two")
    for key in content:
        if key not in KEYS:
            raise SearchError(f"{path}: {unknown_name('key', str(key), KEYS)}")
    for key in _NEEDED:
        if not content.get(key):
            raise SearchError(f"{path}: {key} must have at least one item, got none: write `{key}: [...]`")
    return content


def _expanded(path: Path, axes: SweepAxes, out: Path) -> list[SweepSearch]:
    try:
        return expand(axes, out)
    except SearchError as error:
        raise SearchError(f"{path}: {error}") from error


def _filled(path: Path, planned: SweepSearch, task: Task, devices: Mapping[str, bool], n_cpus: int) -> SweepSearch:
    """A search with what only its task and its flags tell, once they have passed all checks of `parefront search`."""
    typed = _parse(f"{path}: {planned.name}", planned.flags)
    if typed["storage"] and has_secret(parse_url(typed["storage"])):
        raise SearchError(
            f"{path}: storage must be an address without a password, as it is written into each search's files: set "
            "PGPASSWORD where the sweep runs"
        )
    n_trials, n_finals = typed["trials"], typed["finals"]
    short, full = task.short_recipe.n_samples, task.full_recipe.n_samples
    n_shorts = n_trials if typed["shorts"] is None else min(n_trials, typed["shorts"])
    return replace(
        planned,
        n_trials=n_trials,
        n_finals=n_finals,
        # The baseline gets the full fine-tune too. Recipes that count in epochs do not tell.
        n_samples=n_shorts * short + (n_finals + 1) * full if short and full else 0,
        n_cpus=task.resources.cpus or n_cpus,
        n_gpus=task.resources.gpus,
        memory_bytes=task.resources.memory_bytes or 0,
        devices=tuple(name for name in planned.hardware.split("+") if devices[name]),
    )


def _parse(where: str, flags: Flags) -> dict[str, Any]:
    """Has `parefront search` itself check flags, without starting anything; gives their values by its parameters."""
    command = _search_command()
    values = {**_as_parameters(where, flags), "is_dry_run": "true"}
    try:
        context = command.make_context("search", [], default_map=values)
        with context, contextlib.redirect_stdout(io.StringIO()):
            command.invoke(context)
    except Exception as error:
        problem = str(error) if isinstance(error, ParefrontError) else command_line_problem(error)
        if not problem:
            raise
        raise SearchError(f"{where}: {problem}") from error
    return dict(context.params)


def _search_command() -> Any:  # Click's Command, or the one of its copy in Typer; they share no public class
    program = typer.Typer()
    program.command()(search)
    return typer.main.get_command(program)


def _as_parameters(where: str, flags: Mapping[str, Any]) -> dict[str, Value]:
    return check_flags(where, flags, *flags_of(_search_command()))


def _flags(where: str, content: object) -> Flags:
    """A set of flags by their long names, each known to `parefront search` and none that the sweep decides."""
    if not isinstance(content, dict):
        raise SearchError(f"{where} must hold `flag: value` lines, for instance `trials: 100`")
    names, _ = flags_of(_search_command())
    checked = {names[parameter][0]: value for parameter, value in _as_parameters(where, content).items()}
    for name in checked:
        if name in _OF_THE_SWEEP:
            raise SearchError(
                f"{where}: {name} must be left out: a sweep gives tasks, hardware, seeds and out itself, and runs its "
                "searches side by side (concurrency), each without workers of its own"
            )
    return checked


def _settings(path: Path, content: Mapping[Any, Any]) -> dict[str, Flags]:
    """Sets of flags by name; one without flags where there is none."""
    settings: dict[str, Flags] = {}
    for position, each in enumerate(_list(path, content, "settings", [{"name": _NO_SETTINGS}])):
        name = each.get("name") if isinstance(each, dict) else None
        if not name or not isinstance(name, str):
            raise SearchError(f"{path}: settings must each have a name, but number {position + 1} has none: write one")
        if name in settings:
            raise SearchError(f"{path}: settings must differ in name, but two are called {name}: rename one")
        settings[name] = _flags(f"{path}: {name}", {key: value for key, value in each.items() if key != "name"})
    return settings


def _profiles(path: Path, item: object) -> dict[str, HardwareProfile]:
    """Profiles that are measured together, by what they were given as."""
    names: list[Any] = item if isinstance(item, list) else [item]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise SearchError(f"{path}: each item of hardware must be a profile or a list of profiles, got {item!r}")
    return {name: _named(path, name, load_profile) for name in names}


def _by_name(group: Mapping[str, HardwareProfile]) -> dict[str, HardwareProfile]:
    return {profile.name: profile for profile in group.values()}


def _named(path: Path, text: str, load: Any) -> Any:
    """A task or a profile; what is wrong with it is said with the file that names it."""
    try:
        return load(text)
    except ParefrontError as error:
        raise SearchError(f"{path}: {error}") from error


def _list(path: Path, content: Mapping[Any, Any], key: str, default: Sequence[Any] = ()) -> list[Any]:
    items = content.get(key) or list(default)
    if not isinstance(items, list):
        raise SearchError(f"{path}: {key} must be a list, got {items!r}: write `{key}: [...]`")
    return items


def _texts(path: Path, content: Mapping[Any, Any], key: str, default: Sequence[str] = ()) -> list[str]:
    texts = _list(path, content, key, default)
    for each in texts:
        if not isinstance(each, str) or not each or texts.count(each) > 1:
            raise SearchError(f"{path}: {key} must be a list of different values, got {each!r}: correct it")
    return texts


def _text(path: Path, content: Mapping[Any, Any], key: str, default: str) -> str:
    value = content.get(key) or default
    if not isinstance(value, str):
        raise SearchError(f"{path}: {key} must have one value, got {value!r}: write `{key}: VALUE`")
    return value


def _whole(path: Path, key: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise SearchError(f"{path}: {key} must be a whole number, got {text!r}: correct it") from None
