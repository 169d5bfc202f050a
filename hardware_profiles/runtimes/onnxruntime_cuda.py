"""ONNX Runtime on an NVIDIA GPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime

from ..errors import ProfileError
from .onnx_session import OnnxSession, load_onnx, profile_onnx, session_options
from .runtime import Inputs, OperatorTime

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from ..precision import PrecisionPlan

_CUDA = "CUDAExecutionProvider"
# TF32 would shorten the mantissa of fp32 networks in silence; the precision is the plan's to choose.
_PROVIDERS = (
    (_CUDA, {"device_id": "0", "use_tf32": "0", "cudnn_conv_algo_search": "EXHAUSTIVE"}),
    "CPUExecutionProvider",  # Operators on shapes have no kernel on the device.
)


class OnnxRuntimeCuda:
    """Executes ONNX files with ONNX Runtime's CUDA provider; int8 layers have no kernels there."""

    @property
    def name(self) -> str:
        """The name a profile uses."""
        return "onnxruntime-cuda"

    @property
    def version(self) -> str:
        """The installed version of ONNX Runtime."""
        return str(onnxruntime.__version__)

    def check_device(self) -> None:
        """Checks that this ONNX Runtime was built for CUDA.

        Raises:
            ProfileError: It was not.
        """
        available = onnxruntime.get_available_providers()
        if _CUDA not in available:
            raise ProfileError(
                f"runtime {self.name!r} must have ONNX Runtime's {_CUDA}, got {', '.join(available)}: "
                "pip install onnxruntime-gpu in the place of onnxruntime, or choose a profile for the CPU"
            )

    def export(self, module: nn.Module, example_inputs: tuple[Tensor, ...], plan: PrecisionPlan, path: Path) -> None:
        """Writes the network as an ONNX file, see `qdq.export_onnx`; this needs no GPU."""
        from ..export.qdq import export_onnx  # Here, because it imports torch, which the measuring process must not.

        export_onnx(module, example_inputs, plan, path)

    def open_session(self, path: Path, threads: int) -> OnnxDeviceSession:
        """Loads an ONNX file onto the GPU.

        Raises:
            MeasurementError: The file cannot be loaded.
            ProfileError: There is no CUDA provider, or no GPU that it can use.
        """
        self.check_device()
        return OnnxDeviceSession(load_onnx(path, session_options(threads), _PROVIDERS))

    def profile_operators(self, path: Path, inputs: Inputs, threads: int, repeats: int) -> tuple[OperatorTime, ...]:
        """Lists every operator with its precision and the time the host took to launch it: median, in µs.

        Kernels run on behind their launch, so these times rank layers poorly; what runs where and in which precision
        is exact.

        Raises:
            MeasurementError: The file cannot be loaded, or `repeats` is below 1.
            ProfileError: There is no CUDA provider, or no GPU that it can use.
        """
        self.check_device()
        return profile_onnx(path, inputs, threads, repeats, _PROVIDERS, OnnxDeviceSession)


class OnnxDeviceSession(OnnxSession):
    """A file loaded onto a device; an inference is host to host.

    The copies of the inputs to the device and of the outputs back are deliberate and part of the time: a request comes
    from the host's memory and its answer is wanted there.
    """

    def __init__(self, session: onnxruntime.InferenceSession, device: str = "cuda") -> None:
        """Checks that the device is really used; ONNX Runtime falls back to the CPU in silence.

        Raises:
            ProfileError: It is not.
        """
        super().__init__(session)
        self._device = device
        executing = session.get_providers()
        if device == "cuda" and _CUDA not in executing:
            raise ProfileError(
                f"runtime 'onnxruntime-cuda' must have a GPU that ONNX Runtime can use, got {', '.join(executing)}: "
                "check the driver with nvidia-smi, and that CUDA and cuDNN fit the installed onnxruntime-gpu"
            )

    def _run(self, outputs: list[str], inputs: Inputs) -> list[NDArray[Any]]:
        binding = self._session.io_binding()
        for name, array in self._feed(inputs).items():
            value = onnxruntime.OrtValue.ortvalue_from_numpy(array, self._device, 0)
            binding.bind_ortvalue_input(name, value)
        for name in outputs:
            binding.bind_output(name, self._device, 0)
        self._session.run_with_iobinding(binding)
        results: list[NDArray[Any]] = binding.copy_outputs_to_cpu()
        return results
