"""Reads hardware profiles from YAML files, shipped and the user's own, which may extend each other."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from .errors import ProfileError, unknown_name
from .profile import HardwareProfile
from .validation import first_violation

_SUFFIXES = (".yaml", ".yml")
# Fields that describe one file, not what it extends.
_OWN_FIELDS = ("name", "description", "is_measured", "fingerprint")

# Any: a YAML file may hold anything until it is validated.
_Content = dict[str, Any]


def profile_names() -> tuple[str, ...]:
    """Lists the names of the shipped profiles, sorted."""
    files = resources.files(__package__).iterdir()
    return tuple(sorted(Path(file.name).stem for file in files if file.name.endswith(".yaml")))


def load_profile(name_or_path: str) -> HardwareProfile:
    """Loads a shipped profile by name, or any profile from a YAML file.

    A file may say ``extends: NAME`` (a shipped profile, or a path relative to the file): its own fields go over those
    of the other, mappings field by field, everything else whole.

    Args:
        name_or_path: A name from `profile_names`, or a path (anything with a directory or ending in .yaml or .yml).

    Raises:
        ProfileError: The name is unknown, or a file is missing, no YAML, extends itself or breaks a rule of the schema.
    """
    content = _resolved(name_or_path, Path(), ())
    try:
        return HardwareProfile.model_validate(content)
    except ValidationError as error:
        raise ProfileError(f"profile {name_or_path!r}, {first_violation(error, 'profile')}") from error


def _resolved(name_or_path: str, folder: Path, extended_by: tuple[str, ...]) -> _Content:
    """The content of a file over that of the file it extends."""
    is_shipped = name_or_path in profile_names()
    source = name_or_path if is_shipped else str(_path(name_or_path, folder))
    if source in extended_by:
        raise ProfileError(
            f"a profile must not extend itself, got {' -> '.join((*extended_by, source))}: remove one `extends`"
        )
    content = _parsed(_text(source, is_shipped=is_shipped), source)
    base = content.pop("extends", None)
    if base is None:
        return content
    if not isinstance(base, str):
        raise ProfileError(
            f"profile {source!r}, field 'extends': must be a profile's name or path, got {base!r}: correct it"
        )
    under = _resolved(base, Path(source).parent, (*extended_by, source))
    for field in _OWN_FIELDS:
        under.pop(field, None)
    return _merged(under, content)


def _path(name_or_path: str, folder: Path) -> Path:
    path = Path(name_or_path)
    if path.suffix not in _SUFFIXES and len(path.parts) < 2:
        raise ProfileError(f"{unknown_name('profile', name_or_path, profile_names())}, or give a path ending in .yaml")
    return folder / path


def _text(source: str, *, is_shipped: bool) -> str:
    if is_shipped:
        return resources.files(__package__).joinpath(f"{source}.yaml").read_text(encoding="utf-8")
    try:
        return Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ProfileError(
            f"a profile must be a readable YAML file, got {source!r} ({reason}): check the path"
        ) from error


def _parsed(text: str, source: str) -> _Content:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        problem = getattr(error, "problem", None) or "cannot be parsed"
        raise ProfileError(
            f"profile {source!r} must be valid YAML, got an error{line} ({problem}): correct it"
        ) from error
    if not isinstance(content, dict):
        raise ProfileError(
            f"profile {source!r} must hold `field: value` lines, got {type(content).__name__}: "
            f"start from `parefront hardware show {profile_names()[0]}`"
        )
    return content


def _merged(under: _Content, over: _Content) -> _Content:
    merged = dict(under)
    for field, value in over.items():
        below = merged.get(field)
        merged[field] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
