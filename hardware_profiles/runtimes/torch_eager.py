"""PyTorch without compilation, on the CPU: what everybody has, and what compiled runtimes are compared with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from .inputs import check_repeats
from .runtime import Inputs, OperatorTime
from .torch_artefact import export_pt2, load_pt2
from .torch_session import TorchSession

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..precision import PrecisionPlan


class TorchEager:
    """Executes PyTorch archives operator by operator."""

    @property
    def name(self) -> str:
        """The name a profile uses."""
        return "torch"

    @property
    def version(self) -> str:
        """The installed version of PyTorch."""
        return str(torch.__version__)

    def check_device(self) -> None:
        """Nothing to check: there is always a CPU."""

    def export(self, module: nn.Module, example_inputs: tuple[Tensor, ...], plan: PrecisionPlan, path: Path) -> None:
        """Writes the network as a PyTorch archive, see `export_pt2`."""
        export_pt2(module, example_inputs, plan, path, executes_sparse=True)

    def open_session(self, path: Path, threads: int) -> TorchSession:
        """Loads a PyTorch archive.

        Raises:
            MeasurementError: The file cannot be loaded.
        """
        return TorchSession(load_pt2(path)[0], threads)

    def profile_operators(self, path: Path, inputs: Inputs, threads: int, repeats: int) -> tuple[OperatorTime, ...]:
        """Times every operator, in execution order: median over the repeats, in µs.

        Running a graph node by node adds some µs to each operator: use the times to attribute, not to report.

        Raises:
            MeasurementError: The file cannot be loaded, or `repeats` is below 1.
        """
        check_repeats(repeats)
        program, layers = load_pt2(path)
        return TorchSession(program, threads).operator_times(inputs, layers, repeats)
