"""ONNX files loaded by ONNX Runtime, on whatever device."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnxruntime

from ..errors import MeasurementError
from .inputs import InputSpec, as_arrays, check_repeats, zero_inputs
from .onnx_operators import operator_times
from .runtime import LAYERS_KEY, Inputs, OperatorTime

if TYPE_CHECKING:
    from numpy.typing import NDArray

Providers: TypeAlias = Sequence[str | tuple[str, dict[str, str]]]

_PROFILE_WARMUP = 2
_NUMPY_TYPES: dict[str, Any] = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
}


class OnnxSession:
    """A loaded ONNX file."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        """Takes the file as ONNX Runtime loaded it."""
        self._session = session
        self._inputs = tuple(_input_spec(value) for value in session.get_inputs())
        self._outputs = [value.name for value in session.get_outputs()]

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """The shape of the first input, None where a dimension is free."""
        return self._inputs[0].shape

    def zeros(self, batch_size: int) -> tuple[NDArray[Any], ...]:
        """Inputs of zeros in the types and shapes that the network takes.

        Raises:
            MeasurementError: More than the batch is free.
        """
        return zero_inputs(self._inputs, batch_size)

    def run(self, inputs: Inputs) -> NDArray[Any]:
        """Runs one inference; of several outputs the first is returned."""
        return self._run(self._outputs[:1], inputs)[0]

    def run_all(self, inputs: Inputs) -> tuple[NDArray[Any], ...]:
        """Runs one inference; all outputs, in the order in which the network returns them."""
        return tuple(self._run(self._outputs, inputs))

    def profiled(self, inputs: Inputs, repeats: int) -> tuple[OperatorTime, ...]:
        """Runs so many times and gives what the runtime's profiler wrote; the session must have been opened for it."""
        for _ in range(_PROFILE_WARMUP + repeats):
            self.run(inputs)
        events = json.loads(Path(self._session.end_profiling()).read_text(encoding="utf-8"))
        layers = json.loads(self._session.get_modelmeta().custom_metadata_map.get(LAYERS_KEY, "[]"))
        return operator_times(events, layers, _PROFILE_WARMUP, _PROFILE_WARMUP + repeats)

    def _run(self, outputs: list[str], inputs: Inputs) -> list[NDArray[Any]]:
        results: list[NDArray[Any]] = self._session.run(outputs, self._feed(inputs))
        return results

    def _feed(self, inputs: Inputs) -> dict[str, NDArray[Any]]:
        return {spec.name: array for spec, array in zip(self._inputs, as_arrays(self._inputs, inputs), strict=True)}


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """The options of every session: so many threads, one operator after the other."""
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


def load_onnx(path: Path, options: onnxruntime.SessionOptions, providers: Providers) -> onnxruntime.InferenceSession:
    """Loads an ONNX file.

    Args:
        path: The file.
        options: See `session_options`.
        providers: What may execute its operators, the preferred one first.

    Raises:
        MeasurementError: The file cannot be loaded.
    """
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=list(providers))
    except Exception as error:  # ONNX Runtime's error classes share no base but Exception.
        reason = " ".join(str(error).split())
        raise MeasurementError(
            f"ONNX Runtime must be able to load {path.name}, but: {reason}: export it again"
        ) from error


def profile_onnx(
    path: Path,
    inputs: Inputs,
    threads: int,
    repeats: int,
    providers: Providers,
    session_type: type[OnnxSession] = OnnxSession,
) -> tuple[OperatorTime, ...]:
    """Times every operator, in execution order: median over the repeats, in µs.

    Raises:
        MeasurementError: The file cannot be loaded, or `repeats` is below 1.
    """
    check_repeats(repeats)
    with tempfile.TemporaryDirectory(prefix="parefront-profile-") as folder:
        options = session_options(threads)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        return session_type(load_onnx(path, options, providers)).profiled(inputs, repeats)


def _input_spec(value: Any) -> InputSpec:  # Any: ONNX Runtime ships no types
    shape = tuple(size if isinstance(size, int) else None for size in value.shape)
    return InputSpec(value.name, shape, np.dtype(_NUMPY_TYPES.get(value.type, np.float32)))
