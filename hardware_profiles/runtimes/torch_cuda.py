"""PyTorch without compilation, on an NVIDIA GPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.export import ExportedProgram
from torch.export.passes import move_to_device_pass

from ..errors import ProfileError
from .inputs import check_repeats
from .runtime import Inputs, OperatorTime
from .torch_artefact import export_pt2, load_pt2
from .torch_session import TorchSession

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..precision import PrecisionPlan

_DEVICE = "cuda"


class TorchCuda:
    """Executes PyTorch archives operator by operator on the GPU."""

    @property
    def name(self) -> str:
        """The name a profile uses."""
        return "torch-cuda"

    @property
    def version(self) -> str:
        """The installed version of PyTorch; it names the version of CUDA it was built for."""
        return str(torch.__version__)

    def check_device(self) -> None:
        """Checks that PyTorch finds a GPU.

        Raises:
            ProfileError: It does not.
        """
        if not torch.cuda.is_available():
            built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
            raise ProfileError(
                f"runtime {self.name!r} must have a GPU that PyTorch can use, got none (PyTorch {self.version}, "
                f"{built}): check the driver with nvidia-smi, or choose a profile for the CPU"
            )

    def export(self, module: nn.Module, example_inputs: tuple[Tensor, ...], plan: PrecisionPlan, path: Path) -> None:
        """Writes the network as a PyTorch archive, see `export_pt2`; this needs no GPU."""
        export_pt2(module, example_inputs, plan, path)

    def open_session(self, path: Path, threads: int) -> TorchSession:
        """Loads a PyTorch archive onto the GPU.

        Raises:
            MeasurementError: The file cannot be loaded.
            ProfileError: There is no GPU.
        """
        self.check_device()
        return TorchSession(_on_device(load_pt2(path)[0]), threads, _DEVICE)

    def profile_operators(self, path: Path, inputs: Inputs, threads: int, repeats: int) -> tuple[OperatorTime, ...]:
        """Times every operator, in execution order: median over the repeats, in µs.

        The GPU is waited for behind each operator, which in a plain run it is not: use the times to attribute only.

        Raises:
            MeasurementError: The file cannot be loaded, or `repeats` is below 1.
            ProfileError: There is no GPU.
        """
        self.check_device()
        check_repeats(repeats)
        program, layers = load_pt2(path)
        return TorchSession(_on_device(program), threads, _DEVICE).operator_times(inputs, layers, repeats)


def _on_device(program: ExportedProgram) -> ExportedProgram:
    # TF32 would shorten the mantissa of fp32 layers in silence; the precision is the plan's to choose.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True  # The shape stays, so the quickest kernels are worth looking for.
    return move_to_device_pass(program, _DEVICE)
