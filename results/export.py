"""Hands out one member of a front as a model to deploy, checked where it arrives, with a card beside it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from ..tasks import Task
from .card_file import companion, file_facts
from .card_text import card_text
from .export_formats import ExportFormat, find_format
from .export_source import ITSELF, TORCH, Source
from .load import ResultsError, Run
from .model_card import card_facts
from .pick import choose
from .probe import Agreement
from .verify import agree
from .weights_folder import RECIPE
from .wording import word_bytes

CARDS = ("card.md", "card.json")


def export_member(
    run: Run, pick: str | None, path: Path, *, format_name: str | None = None, task: Task | None = None
) -> str:
    """Writes the picked member in a format, loads it again, compares its outputs, and describes it in a card.

    Beside the model lie its card (`.card.json`, `.card.md`) and a few inputs with their outputs (`.probe.npz`); in the
    folder of weights all are inside. Nothing is left where the check fails.

    Args:
        run: The run.
        pick: See `pick.choose`.
        path: The file or folder to write.
        format_name: One of `export_formats.FORMATS`; None for what the suffix says.
        task: What was compressed, where a format builds its network anew and it cannot be found by its name.

    Returns:
        One line that says what was written.

    Raises:
        ResultsError: Nothing matches, or what was written does not give the outputs that it must.
        ParefrontError: The format cannot be written or loaded here.
    """
    kind = find_format(format_name, path)
    _check_target(kind, path)
    source = Source(run, choose(run, pick), task)
    path.parent.mkdir(parents=True, exist_ok=True)
    # In a folder beside it, so that everything can be moved into place at once.
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".partial", dir=path.parent) as folder:
        staged = Path(folder) / path.name
        kind.write(source, staged)
        agreement = _describe(source, kind, staged)
        _move(staged, path)
    against = "" if source.expected_from == TORCH else f" against {ITSELF}, as the run kept no outputs of PyTorch"
    return f"{path}: {_words(source, kind)}; reloaded and checked{against}: {agreement.text}"


def _check_target(kind: ExportFormat, path: Path) -> None:
    """A folder is written anew or over an earlier export, a file never over a folder."""
    if path.is_dir() and kind.suffix:
        raise ResultsError(
            f"--to must name a file, got the folder {str(path)!r}: add a name such as model{kind.suffix}"
        )
    if kind.suffix or not path.exists():
        return
    if not path.is_dir() or (any(path.iterdir()) and not (path / RECIPE).is_file()):
        raise ResultsError(
            f"--to must be a new folder or one that was exported before, got {str(path)!r}: choose another"
        )


def _describe(source: Source, kind: ExportFormat, model: Path) -> Agreement:
    """Stores the probe, checks the model with it, and writes the cards."""
    probe = companion(model, "probe.npz")
    source.probe.write(probe)
    runtime = kind.runtime_for(source)
    agreement = agree(model, kind, runtime, probe, source.tolerance, source.given_task)
    files = {each.name: file_facts(each) for each in _files(model)}
    _write_cards(model, card_facts(source, kind, runtime, model.name, agreement, files))
    return agreement


def _write_cards(model: Path, facts: dict[str, object]) -> None:
    companion(model, "card.md").write_text(card_text(facts), encoding="utf-8")
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    companion(model, "card.json").write_text(text, encoding="utf-8")


def _files(model: Path) -> list[Path]:
    """All that was written so far."""
    return sorted(path for path in (model if model.is_dir() else model.parent).iterdir() if path.is_file())


def _move(staged: Path, path: Path) -> None:
    """Puts everything in its place, the cards last: without them nothing passes for a checked model."""
    target = path if staged.is_dir() else path.parent
    if staged.is_dir():
        path.mkdir(exist_ok=True)
    files = sorted(_files(staged), key=lambda each: each.name.endswith(CARDS))
    for file in files:
        file.replace(target / file.name)


def _words(source: Source, kind: ExportFormat) -> str:
    member = source.member
    if source.artefact.suffix != kind.suffix:
        return f"#{member.number} as {kind.name}, whose latency and size were not measured"
    lost = f", {member.value('accuracy_drop'):.2f} pt lost" if "accuracy_drop" in member.scores else ""
    size = word_bytes(member.value("size_bytes"))
    return f"#{member.number}, {member.value('latency_ms'):.3f} ms, {size}{lost}"
