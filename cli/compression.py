"""What `compress` does: a person's configuration is checked first, then trained, exported, verified and written."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..evaluators import Evaluation, Workbench
from ..evaluators.by_hand import FIDELITIES, Compressed, compress_by_hand
from ..evaluators.calibration_draw import draw_calibration
from ..hardware_profiles import HardwareProfile, check_host
from ..hardware_profiles.errors import ExportError, SearchError, SpaceError
from ..hardware_profiles.runtimes import runtime_facts
from ..hardware_profiles.runtimes.runtime import copy_external_data
from ..spaces import DEFAULT_OPTIONS, Choice, CompressionOptions, Configuration, find_space, observe, trace
from ..spaces.encode import Encode
from ..spaces.moot_rules import STORAGE
from ..spaces.substitute import Substitute
from ..tasks import Task, TaskData, available_network
from .assignments import Assigned, assign

STRUCTURE = FIDELITIES[0]
LEARNED = frozenset({"rank"})
"""Techniques whose choices depend on what a network has learned."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asks for.

    Attributes:
        assignments: Each `SITE=CHOICE`.
        start: A file with a configuration that the assignments change, or None.
        fidelity: `structure`, `short` or `full`.
        seed: Of all training.
        to: The file to write.
        options: How the techniques work where there is more than one way.
    """

    assignments: Sequence[str]
    start: Path | None
    fidelity: str
    seed: int
    to: Path
    options: CompressionOptions = DEFAULT_OPTIONS

    def __post_init__(self) -> None:
        if self.fidelity not in FIDELITIES:
            known = ", ".join(FIDELITIES)
            raise SearchError(f"unknown fidelity {self.fidelity!r}: known ones are {known}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request.

    Attributes:
        assigned: The configuration, and what patterns named in vain.
        compressed: Its evaluation beside the baseline's.
        is_trained: Whether the network had learned anything.
    """

    assigned: Assigned
    compressed: Compressed
    is_trained: bool


def compress_task(
    task: Task, profile: HardwareProfile, request: Request, progress: Callable[[str, int, int], None]
) -> Outcome:
    """Compresses a task's network as asked; what cannot be done is said before anything is trained.

    Raises:
        ParefrontError: A mistake in the request.
    """
    check_host(profile)
    check_suffix(profile, request.to)
    start = _read_start(request.start)
    techniques = {name.partition("/")[0] for name in (*request.assignments, *start)}
    asked = replace(
        request.options,
        has_stored=not techniques.isdisjoint(STORAGE),
        # Codes with ties are offered beside other operators.
        has_operators=not techniques.isdisjoint((Substitute().name, Encode().name)),
    )
    request = replace(request, options=asked)
    if not (request.assignments or start):
        raise SpaceError(
            "nothing is set: say what to compress, for instance --set 'bits/*=8'; `inspect` lists the sites"
        )
    data = task.load_data()
    checked, is_trained = _check_first(task, data, profile, request, start)
    with tempfile.TemporaryDirectory(prefix="parefront-compress-") as folder:
        workbench = Workbench(
            checked, profile, Path(folder), seed=request.seed, options=request.options, progress=progress
        )
        try:
            assigned = assign(workbench.space, request.assignments, start)
            compressed = compress_by_hand(workbench, assigned.configuration, request.fidelity)
        finally:
            workbench.close()
        _write(compressed.candidate, assigned.configuration, request.to)
    return Outcome(assigned, compressed, is_trained or request.fidelity != STRUCTURE)


def check_suffix(profile: HardwareProfile, to: Path) -> None:
    """Checks that a file to write is named as the profile's runtime wants it: runtimes tell formats by the suffix.

    Raises:
        ExportError: It is not.
    """
    suffix = runtime_facts(profile.runtime.name).suffix
    if to.suffix != suffix:
        raise ExportError(
            f"a file for runtime {profile.runtime.name!r} must end in {suffix}, got {str(to)!r}: rename it"
        )


def _read_start(path: Path | None) -> dict[str, Choice]:
    if path is None:
        return {}
    try:
        return dict(Configuration.from_json(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise SpaceError(f"--from must be a readable configuration file, got {str(path)!r}: check the path") from error


def _check_first(
    task: Task, data: TaskData, profile: HardwareProfile, request: Request, start: dict[str, Choice]
) -> tuple[Task, bool]:
    """Finds mistakes in the assignments before the baseline is trained; gives a task that reads no data again."""
    module, is_trained = available_network(task, data.train)
    calibration = draw_calibration(data.train, request.seed).inputs
    network = observe(trace(module, calibration[:2]), calibration, DEFAULT_OPTIONS)
    space = find_space(network, profile.capabilities, request.options)
    assign(space, request.assignments, start, ignored=frozenset() if is_trained else LEARNED)
    loaded = replace(task, load_data=lambda: data)
    if request.fidelity == STRUCTURE:
        # Latency and size do not depend on what was learned.
        loaded = replace(loaded, build_network=lambda: module, baseline_recipe=None)
    return loaded, is_trained


def _write(candidate: Evaluation, configuration: Configuration, to: Path) -> None:
    """Writes the file and beside it the configuration; nothing where the export is not what it should be."""
    if candidate.reason:
        raise ExportError(f"nothing was written, because the result failed its check: {candidate.reason}")
    to.parent.mkdir(parents=True, exist_ok=True)
    partial = to.with_name(f".{to.name}.partial")
    try:
        shutil.copyfile(candidate.artefact, partial)
        copy_external_data(candidate.artefact, to)
        partial.replace(to)
    finally:
        partial.unlink(missing_ok=True)
    configuration_path(to).write_text(configuration.to_json() + "\n", encoding="utf-8")


def configuration_path(model: Path) -> Path:
    """Where the configuration of a written model lies: `model.onnx` → `model.json`."""
    return model.with_suffix(".json")
