"""ONNX Runtime on the CPU."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from ..errors import MeasurementError
from .runtime import LAYERS_KEY, Inputs, OperatorTime

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from ..precision import PrecisionPlan

_PROVIDERS = ["CPUExecutionProvider"]
_PROFILE_WARMUP = 2
_NUMPY_TYPES: dict[str, Any] = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(double)": np.float64,
}
_INT8_OPERATORS = frozenset({"QGemm", "ConvInteger", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"})


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

    def export(self, module: nn.Module, example_inputs: tuple[Tensor, ...], plan: PrecisionPlan, path: Path) -> None:
        """Writes the network as an ONNX file, see `qdq.export_onnx`."""
        from ..qdq import export_onnx  # Here, because it imports torch, which the measuring process must not.

        export_onnx(module, example_inputs, plan, path)

    def open_session(self, path: Path, threads: int) -> OnnxSession:
        """Loads an ONNX file.

        Raises:
            MeasurementError: The file cannot be loaded.
        """
        return OnnxSession(_open(path, _session_options(threads)))

    def profile_operators(self, path: Path, inputs: Inputs, threads: int, repeats: int) -> tuple[OperatorTime, ...]:
        """Times every operator, in execution order: median over the repeats, in µs.

        The profiler adds 1-2 µs to each operator: use the times to attribute, not to report.

        Raises:
            MeasurementError: The file cannot be loaded, or `repeats` is below 1.
        """
        if repeats < 1:
            raise MeasurementError(f"repeats must be at least 1, got {repeats}: use for instance 10")
        with tempfile.TemporaryDirectory(prefix="parefront-profile-") as folder:
            options = _session_options(threads)
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "profile")
            session = _open(path, options)
            for _ in range(_PROFILE_WARMUP + repeats):
                session.run(None, _feed(session, inputs))
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        layers = json.loads(session.get_modelmeta().custom_metadata_map.get(LAYERS_KEY, "[]"))
        return _operator_times(events, layers, _PROFILE_WARMUP + repeats)


class OnnxSession:
    """A loaded ONNX file."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._first_output = [session.get_outputs()[0].name]

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """The shape of the first input, None where a dimension is free."""
        return tuple(size if isinstance(size, int) else None for size in self._session.get_inputs()[0].shape)

    def zeros(self, batch_size: int) -> tuple[NDArray[Any], ...]:
        """Inputs of zeros in the types and shapes that the network takes.

        Raises:
            MeasurementError: More than the batch is free.
        """
        made = []
        for value in self._session.get_inputs():
            if any(not isinstance(size, int) for size in value.shape[1:]):
                raise MeasurementError(
                    f"only the batch may be free in a network's input, got {value.shape} for {value.name!r}: "
                    "export it so"
                )
            shape = [batch_size if not isinstance(size, int) else size for size in value.shape]
            made.append(np.zeros(shape, _NUMPY_TYPES.get(value.type, np.float32)))
        return tuple(made)

    def run(self, inputs: Inputs) -> NDArray[Any]:
        """Runs one inference; of several outputs the first is returned."""
        result: NDArray[Any] = self._session.run(self._first_output, _feed(self._session, inputs))[0]
        return result

    def run_all(self, inputs: Inputs) -> tuple[NDArray[Any], ...]:
        """Runs one inference; all outputs, in the order in which the network returns them."""
        return tuple(self._session.run(None, _feed(self._session, inputs)))


def layer_of(event_name: str, layers: Collection[str]) -> str | None:
    """Finds the layer a node of the optimised graph belongs to.

    When ONNX Runtime fuses nodes or changes a layout it extends their names (`conv1_nchwc`, `conv1/output_token_3`), so
    the layer is the longest known name that is the node's name, or its beginning up to a '/' or a '_'. A Gemm fused
    with its activation is called `fused conv1`.
    """
    event_name = event_name.removeprefix("fused ")
    matches = (name for name in layers if event_name == name or event_name.startswith((f"{name}/", f"{name}_")))
    return max(matches, key=len, default=None)


def _operator_times(
    events: Sequence[Mapping[str, Any]], layers: Collection[str], n_runs: int
) -> tuple[OperatorTime, ...]:
    """Medians per node. Nodes are told apart by position, as the runtime does not keep names unique."""
    kernels = [event for event in events if event["cat"] == "Node" and event["name"].endswith("_kernel_time")]
    n_nodes = len(kernels) // n_runs
    assert n_nodes * n_runs == len(kernels), "sequential execution runs the same nodes each time"
    times = []
    for position in range(n_nodes):
        repeats = kernels[position + _PROFILE_WARMUP * n_nodes :: n_nodes]
        operator = str(repeats[0]["args"]["op_name"])
        times.append(
            OperatorTime(
                layer=layer_of(repeats[0]["name"].removesuffix("_kernel_time"), layers),
                operator=operator,
                is_int8=operator.startswith("QLinear") or operator in _INT8_OPERATORS,
                microseconds=float(statistics.median(event["dur"] for event in repeats)),
            )
        )
    return tuple(times)


def _feed(session: onnxruntime.InferenceSession, inputs: Inputs) -> dict[str, NDArray[Any]]:
    arrays = inputs if isinstance(inputs, tuple) else (inputs,)
    values = session.get_inputs()
    if len(arrays) != len(values):
        raise MeasurementError(
            f"a network must be given each of its {len(values)} inputs ({', '.join(v.name for v in values)}), "
            f"got {len(arrays)}: give one array for each"
        )
    return {value.name: array for value, array in zip(values, arrays, strict=True)}


def _session_options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # Threads may spin between the operators of one inference, which is what deployment does, but not after it: idle
    # threads of a kept session would burn the cores that the next measurement needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def _open(path: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=_PROVIDERS)
    except Exception as error:  # ONNX Runtime's error classes share no base but Exception.
        reason = " ".join(str(error).split())
        raise MeasurementError(
            f"ONNX Runtime must be able to load {path.name}, but: {reason}: export it again"
        ) from error
