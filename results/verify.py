"""Checks an exported model anywhere: its files alone are needed, no run and, but for weights, no task."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from ..tasks import Task
from .card_file import CheckedCard, check_files, companion, read_card
from .export_formats import FORMATS, ExportFormat
from .load import ResultsError
from .probe import Agreement, Probe
from .weights_folder import RECIPE, WEIGHTS


def verify(model: Path, task: Task | None = None) -> str:
    """Checks that a model is as it was exported, and that its runtime here gives the outputs that it gave there.

    Args:
        model: The exported file, or the folder of weights.
        task: What builds the network of weights, where it is no built-in one.

    Returns:
        One line that says what was checked.

    Raises:
        ResultsError: Something is missing, differs or gives other outputs.
        ParefrontError: The runtime is missing here, or cannot load the file.
    """
    card = read_card(model)
    kind = FORMATS.get(card.format)
    if kind is None:
        raise ResultsError(
            f"a card must be of one of the formats {', '.join(FORMATS)}, got {card.format!r}: check it with the "
            "version that wrote it"
        )
    probe = companion(model, "probe.npz")
    parts = (WEIGHTS, RECIPE) if model.is_dir() else (model.name,)
    if missing := [name for name in (*parts, probe.name) if name not in card.files]:
        raise ResultsError(f"a card must name all files of its model, but {missing[0]} is not in it: export it again")
    check_files(card, model if model.is_dir() else model.parent)
    agreement = agree(model, kind, card.runtime, probe, card.parity.tolerance, task)
    return f"{model}: verified; {len(card.files)} files as exported; {agreement.text}, {_by(card)}"


def agree(model: Path, kind: ExportFormat, runtime: str, probe: Path, tolerance: float, task: Task | None) -> Agreement:
    """Loads a model in a session of its own and compares its outputs with the stored ones.

    Raises:
        ResultsError: They are others.
    """
    found = Probe.read(probe).compare(kind.open(model, runtime, task), tolerance)
    if not found.is_kept:
        raise ResultsError(
            f"{model.name} must give the outputs that were stored with it, but in {runtime} {found.text}: do not use "
            "it here"
        )
    return found


def _by(card: CheckedCard) -> str:
    """The runtime with its version."""
    package = {"onnxruntime-cuda": "onnxruntime-gpu"}.get(card.runtime, card.runtime.partition("-")[0])
    try:
        return f"in {card.runtime} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return f"in {card.runtime}"
