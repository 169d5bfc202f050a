"""OpenVINO on the CPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openvino

from ..errors import MeasurementError
from .inputs import check_repeats
from .openvino_operators import operator_times
from .openvino_session import OpenVinoSession
from .runtime import LAYERS_KEY, Inputs, OperatorTime

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..precision import PrecisionPlan

_PROFILE_WARMUP = 2


class OpenVinoCpu:
    """Executes QDQ ONNX files with OpenVINO's CPU plug-in: each layer in the precision that the file gives it."""

    @property
    def name(self) -> str:
        """The name a profile uses."""
        return "openvino"

    @property
    def version(self) -> str:
        """The installed version of OpenVINO."""
        return str(openvino.__version__)

    def check_device(self) -> None:
        """Nothing to check: there is always a CPU."""

    def export(self, module: nn.Module, example_inputs: tuple[Tensor, ...], plan: PrecisionPlan, path: Path) -> None:
        """Writes the network as an ONNX file, see `qdq.export_onnx`."""
        from ..export.qdq import export_onnx  # Here, because it imports torch, which the measuring process must not.

        export_onnx(module, example_inputs, plan, path)

    def open_session(self, path: Path, threads: int) -> OpenVinoSession:
        """Loads an ONNX file.

        Raises:
            MeasurementError: The file cannot be loaded.
        """
        return OpenVinoSession(_read(path), session_options(threads))

    def profile_operators(self, path: Path, inputs: Inputs, threads: int, repeats: int) -> tuple[OperatorTime, ...]:
        """Times every operator, in execution order: median over the repeats, in µs.

        The counters slow the network down a little: use the times to attribute, not to report.

        Raises:
            MeasurementError: The file cannot be loaded, or `repeats` is below 1.
        """
        check_repeats(repeats)
        model = _read(path)
        session = OpenVinoSession(model, {**session_options(threads), "PERF_COUNT": True})
        for _ in range(_PROFILE_WARMUP):
            session.run(inputs)
        runs = [session.counters(inputs) for _ in range(repeats)]
        return operator_times(session.executed_model(inputs), runs, _layers(model))


def session_options(threads: int) -> dict[str, Any]:
    """The options of every session; what is not pinned here, OpenVINO chooses by the machine."""
    return {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        # Each layer in the type it has in the file. The default is bf16 for everything where the processor has it.
        "INFERENCE_PRECISION_HINT": "dynamic",
        # Inputs of layers whose weights alone are in few bits are rounded in groups, as ONNX Runtime does.
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 32,
        # The meter pins the process.
        "ENABLE_CPU_PINNING": False,
    }


def _read(path: Path) -> openvino.Model:
    try:
        return openvino.Core().read_model(str(path))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise MeasurementError(f"OpenVINO must be able to load {path.name}, but: {reason}: export it again") from error


def _layers(model: openvino.Model) -> list[str]:
    """The layers that the file's metadata lists; OpenVINO keeps it under the name of the file's framework."""
    place = ["framework", LAYERS_KEY]
    layers: list[str] = json.loads(model.get_rt_info(place).astype(str)) if model.has_rt_info(place) else []
    return layers
