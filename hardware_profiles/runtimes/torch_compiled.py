"""PyTorch with `torch.compile`, on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..errors import MeasurementError, ProfileError
from .runtime import Inputs, OperatorTime
from .torch_artefact import export_pt2, load_pt2
from .torch_eager import TorchEager
from .torch_session import Function, TorchSession

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..precision import PrecisionPlan


class TorchCompiled:
    """Executes PyTorch archives compiled by Inductor into C++; this takes seconds to minutes for each network."""

    @property
    def name(self) -> str:
        """The name a profile uses."""
        return "torch-compile"

    @property
    def version(self) -> str:
        """The installed version of PyTorch."""
        return str(torch.__version__)

    def check_device(self) -> None:
        """Checks that there is a C++ compiler.

        Raises:
            ProfileError: There is none.
        """
        from torch._inductor import cpp_builder, exc

        try:
            cpp_builder.get_cpp_compiler()
        except (exc.InvalidCxxCompiler, RuntimeError) as error:
            raise ProfileError(
                f"runtime {self.name!r} must have a C++ compiler, got none: install g++ or clang, or set CXX to "
                "its path"
            ) from error

    def export(self, module: nn.Module, example_inputs: tuple[Tensor, ...], plan: PrecisionPlan, path: Path) -> None:
        """Writes the network as a PyTorch archive, see `export_pt2`; it is compiled where it runs."""
        export_pt2(module, example_inputs, plan, path)

    def open_session(self, path: Path, threads: int) -> TorchSession:
        """Loads a PyTorch archive; it is compiled at the first inference of each shape, so run it once before timing.

        Raises:
            MeasurementError: The file cannot be loaded.
            ProfileError: There is no C++ compiler.
        """
        self.check_device()
        return TorchSession(load_pt2(path)[0], threads, compile_function=_compiled)

    def profile_operators(self, path: Path, inputs: Inputs, threads: int, repeats: int) -> tuple[OperatorTime, ...]:
        """Times every operator of the network as it is before it is compiled: median over the repeats, in µs.

        What is compiled has no operators of single layers any more, as it fuses across them. The types that it computes
        in are those of the graph.

        Raises:
            MeasurementError: The file cannot be loaded, or `repeats` is below 1.
        """
        return TorchEager().profile_operators(path, inputs, threads, repeats)


def _compiled(function: Function) -> Function:
    from torch._inductor import config

    # Processes that compile ahead would sit on the cores that are measured.
    config.compile_threads = 1
    compiled: Function = torch.compile(function, dynamic=False)

    def run(*inputs: Any) -> Any:  # Any: whatever a network takes and returns
        try:
            return compiled(*inputs)
        except Exception as error:  # Inductor raises many unrelated classes; the reason is what the user needs.
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise MeasurementError(
                f"Inductor must be able to compile and run the network, but: {reason}: choose another runtime"
            ) from error

    return run
