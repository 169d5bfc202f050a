"""ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import onnxruntime

from .onnx_session import OnnxSession, load_onnx, profile_onnx, session_options
from .runtime import Inputs, OperatorTime

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..precision import PrecisionPlan

_PROVIDERS = ("CPUExecutionProvider",)


class OnnxRuntimeCpu:
    """Executes QDQ ONNX files with ONNX Runtime's CPU provider."""

    @property
    def name(self) -> str:
        """The name a profile uses."""
        return "onnxruntime"

    @property
    def version(self) -> str:
        """The installed version of ONNX Runtime."""
        return str(onnxruntime.__version__)

    def check_device(self) -> None:
        """Nothing to check: there is always a CPU."""

    def export(self, module: nn.Module, example_inputs: tuple[Tensor, ...], plan: PrecisionPlan, path: Path) -> None:
        """Writes the network as an ONNX file, see `qdq.export_onnx`."""
        from ..export.qdq import export_onnx  # Here, because it imports torch, which the measuring process must not.

        export_onnx(module, example_inputs, plan, path)

    def open_session(self, path: Path, threads: int) -> OnnxSession:
        """Loads an ONNX file.

        Raises:
            MeasurementError: The file cannot be loaded.
        """
        return OnnxSession(load_onnx(path, session_options(threads), _PROVIDERS))

    def profile_operators(self, path: Path, inputs: Inputs, threads: int, repeats: int) -> tuple[OperatorTime, ...]:
        """Times every operator, in execution order: median over the repeats, in µs.

        The profiler adds 1-2 µs to each operator: use the times to attribute, not to report.

        Raises:
            MeasurementError: The file cannot be loaded, or `repeats` is below 1.
        """
        return profile_onnx(path, inputs, threads, repeats, _PROVIDERS)
