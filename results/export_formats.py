"""The formats that a member can be exported in: how each is written, loaded again, and loaded by its user."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..hardware_profiles.errors import unknown_name
from ..hardware_profiles.precision import PrecisionPlan
from ..hardware_profiles.runtimes import check_runtime, get_runtime, runtime_facts
from ..hardware_profiles.runtimes.runtime import copy_external_data
from ..spaces import simulate
from ..tasks import BUILT_IN, Task
from .export_source import Source
from .load import ResultsError
from .packed_file import open_packed, write_packed
from .probe import Function
from .sessions import open_file
from .weights_folder import open_weights, write_weights


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """One format.

    Attributes:
        name: As people write it.
        suffix: Of its file; empty where it is a folder.
        runtime: What loads it, where the run's own runtime loads another suffix.
        write: Writes a member to a path whose folder exists.
        open: Loads what was written, by the runtime, with the task where that is needed.
        loading: How its user loads and runs it, in five lines, with places for `{path}`, `{shape}`, `{type}`, `{task}`.
    """

    name: str
    suffix: str
    runtime: str
    write: Callable[[Source, Path], None]
    open: Callable[[Path, str, Task | None], Function]
    loading: str

    def runtime_for(self, source: Source) -> str:
        """What the written file is checked with."""
        return source.runtime if runtime_facts(source.runtime).suffix == self.suffix else self.runtime

    def loading_code(self, path: str, shape: tuple[int, ...], dtype: str, task: str, *, is_sparse: bool = False) -> str:
        """The lines for one file.

        Args:
            path: Its name.
            shape: Of an input.
            dtype: Of an input, as NumPy names it.
            task: Name of the task.
            is_sparse: Whether it has layers that only a session of parefront's executes as fast as they were measured.
        """
        name = task if task in BUILT_IN else "my_task.py"
        lines = _LOADING_SPARSE if is_sparse else self.loading
        return lines.format(path=json.dumps(path), shape=shape, type=dtype, task=json.dumps(name))


def find_format(name: str | None, path: Path) -> ExportFormat:
    """The format of that name, or the one that the path's suffix says.

    Raises:
        ResultsError: Neither is known, or they do not agree.
    """
    if name is not None and name not in FORMATS:
        raise ResultsError(unknown_name("format", name, FORMATS))
    by_suffix = {each.suffix: each for each in FORMATS.values() if each.suffix}
    if name is None:
        found = by_suffix.get(path.suffix)
        if found is None:
            known = ", ".join(f"{suffix} ({each.name})" for suffix, each in by_suffix.items())
            raise ResultsError(
                f"the file must end in one of {known}, or --format weights say that it is a folder, got {str(path)!r}: "
                "rename it"
            )
        return found
    found = FORMATS[name]
    if path.suffix != found.suffix and (found.suffix or path.suffix in by_suffix):
        wanted = f"end in {found.suffix}" if found.suffix else f"be a folder's name without {path.suffix}"
        raise ResultsError(f"a path for --format {name} must {wanted}, got {str(path)!r}: rename it")
    return found


def _write_onnx(source: Source, path: Path) -> None:
    if source.artefact.suffix == ".onnx":
        shutil.copyfile(source.artefact, path)
        copy_external_data(source.artefact, path)
        return
    finished = source.finished
    get_runtime("onnxruntime").export(finished.module, (source.kept.inputs[:2],), finished.plan, path)


def _write_torch(source: Source, path: Path) -> None:
    if source.artefact.suffix == ".pt2":
        shutil.copyfile(source.artefact, path)
        return
    finished = source.finished
    module = simulate(finished.module, finished.plan)
    get_runtime("torch").export(module, (source.kept.inputs[:2],), PrecisionPlan.none(), path)


def _write_openvino(source: Source, path: Path) -> None:
    check_runtime("openvino")
    from ..hardware_profiles.export.openvino_ir import write_ir

    if source.artefact.suffix == ".onnx":
        write_ir(source.artefact, path)
        return
    with tempfile.TemporaryDirectory(prefix="parefront-export-") as folder:
        onnx = Path(folder) / "model.onnx"
        _write_onnx(source, onnx)
        write_ir(onnx, path)


def _open_file(path: Path, runtime: str, task: Task | None) -> Function:
    return open_file(path, runtime)


def _open_weights(path: Path, runtime: str, task: Task | None) -> Function:
    return open_weights(path, task)


_LOADING_ONNX = """\
import numpy, onnxruntime
session = onnxruntime.InferenceSession({path}, providers=["CPUExecutionProvider"])
inputs = numpy.zeros({shape}, numpy.{type})  # prepared as the task prepares them
(outputs,) = session.run(None, {{session.get_inputs()[0].name: inputs}})
"""
_LOADING_TORCH = """\
import torch
program = torch.export.load({path})
inputs = torch.zeros({shape}, dtype=torch.{type})  # prepared as the task prepares them
with torch.no_grad():
    outputs = program.module()(inputs)
"""
_LOADING_SPARSE = """\
import numpy, pathlib
from parefront.hardware_profiles import get_runtime  # which puts the sparse weights together once
session = get_runtime("torch").open_session(pathlib.Path({path}), threads=1)
inputs = numpy.zeros({shape}, numpy.{type})  # prepared as the task prepares them
outputs = session.run(inputs)
"""
_LOADING_OPENVINO = """\
import numpy, openvino
# Each layer in its own precision: by default OpenVINO takes bfloat16 where the processor has it.
model = openvino.Core().compile_model({path}, "CPU", {{"INFERENCE_PRECISION_HINT": "dynamic"}})
inputs = numpy.zeros({shape}, numpy.{type})  # prepared as the task prepares them
outputs = model(inputs)[0]
"""
_LOADING_PARE = """\
import torch
from parefront.results import rebuild_packed
from parefront.tasks import load_task
network = rebuild_packed({path}, load_task({task}))
outputs = network(torch.zeros({shape}, dtype=torch.{type}))  # prepared as the task prepares them
"""
_LOADING_WEIGHTS = """\
import torch
from parefront.results import rebuild
from parefront.tasks import load_task
network = rebuild({path}, load_task({task}))
outputs = network(torch.zeros({shape}, dtype=torch.{type}))  # prepared as the task prepares them
"""

FORMATS = {
    each.name: each
    for each in (
        ExportFormat("onnx", ".onnx", "onnxruntime", _write_onnx, _open_file, _LOADING_ONNX),
        ExportFormat("torch", ".pt2", "torch", _write_torch, _open_file, _LOADING_TORCH),
        ExportFormat("openvino", ".xml", "openvino", _write_openvino, _open_file, _LOADING_OPENVINO),
        ExportFormat("pare", ".pare", "torch", write_packed, open_packed, _LOADING_PARE),
        ExportFormat("weights", "", "torch", write_weights, _open_weights, _LOADING_WEIGHTS),
    )
}
