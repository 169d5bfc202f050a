"""The card of an exported model as a file: where it lies, and what a check reads from it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .load import ResultsError

SCHEMA = 1


class FileFacts(BaseModel):
    """What a file must be.

    Attributes:
        sha256: Of its content, in hexadecimal.
        bytes: Its size.
    """

    sha256: str
    bytes: int


class ParityFacts(BaseModel):
    """What the model's outputs must be.

    Attributes:
        tolerance: What they may differ by from the stored ones, over their deviation.
    """

    tolerance: float = Field(gt=0, lt=1)


class CheckedCard(BaseModel):
    """The part of a card that a check needs; the rest is for people.

    Attributes:
        schema_version: Of the card.
        format: Name of the format.
        runtime: Name of the runtime that it was checked with.
        parity: What the outputs must be.
        files: By name, beside the card, all that belongs to the model.
    """

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    schema_version: Literal[1] = Field(alias="schema")
    format: str
    runtime: str
    parity: ParityFacts
    files: dict[str, FileFacts] = Field(min_length=1)


def companion(model: Path, kind: str) -> Path:
    """A file that belongs to a model: inside its folder, or beside its file under the file's name.

    Args:
        model: The exported file or folder, which exists.
        kind: `card.json`, `card.md` or `probe.npz`.
    """
    return model / kind if model.is_dir() else model.with_name(f"{model.name}.{kind}")


def read_card(model: Path) -> CheckedCard:
    """The card of an exported model.

    Raises:
        ResultsError: There is no model or no card, or it is none of ours.
    """
    if not model.exists():
        raise ResultsError(f"a model to check must exist, got {str(model)!r}: check the path")
    path = companion(model, "card.json")
    if not path.is_file():
        raise ResultsError(f"a model is checked by the card beside it, but {path} is missing: bring it along")
    try:
        return CheckedCard.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ResultsError(
            f"{path} must be a card of schema {SCHEMA}, got a mistake at {place} ({first['msg']}): export the model "
            "again"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"{path} must be readable, got an error ({error}): export the model again") from error


def file_facts(path: Path) -> FileFacts:
    """What a file is."""
    with path.open("rb") as file:
        return FileFacts(sha256=hashlib.file_digest(file, "sha256").hexdigest(), bytes=path.stat().st_size)


def check_files(card: CheckedCard, folder: Path) -> None:
    """Checks that all files are there as they were exported.

    Args:
        card: What they must be.
        folder: Where they lie.

    Raises:
        ResultsError: One is missing or differs.
    """
    for name, expected in card.files.items():
        if Path(name).name != name:
            raise ResultsError(f"a card must name files beside it, got {name!r}: export the model again")
        path = folder / name
        if not path.is_file():
            raise ResultsError(f"{name} belongs to the model, but is missing in {folder}: bring it along")
        found = file_facts(path)
        if found != expected:
            raise ResultsError(
                f"{name} must be as it was exported ({expected.bytes} bytes, SHA-256 {expected.sha256[:12]}), got "
                f"{found.bytes} bytes, SHA-256 {found.sha256[:12]}: copy it again"
            )
