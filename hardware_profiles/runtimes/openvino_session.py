"""An ONNX file loaded by OpenVINO, compiled for each shape of input it is given."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import openvino

from ..errors import MeasurementError
from .inputs import InputSpec, as_arrays, zero_inputs
from .runtime import Inputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

Shapes: TypeAlias = tuple[tuple[int, ...], ...]

# A whole batch and the rest of a data set; each one compiled holds a copy of the weights.
_MOST_COMPILED = 2


class OpenVinoSession:
    """A loaded network.

    It is compiled at the first inference of each shape: with a free batch OpenVINO leaves out optimisations, which
    costs 2 to 30 % (resnet18, mobilenet_v3_small in int8), and whoever deploys with it fixes the shape.
    """

    def __init__(self, model: openvino.Model, options: dict[str, Any]) -> None:
        """Takes a network as OpenVINO read it.

        Args:
            model: The network; it is left as it is.
            options: Of the compilation.
        """
        self._model, self._options = model, options
        self._inputs = tuple(_input_spec(port) for port in model.inputs)
        self._n_outputs = len(model.outputs)
        self._requests: OrderedDict[Shapes, openvino.InferRequest] = OrderedDict()

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
        result: NDArray[Any] = self._infer(inputs)[0]
        return result

    def run_all(self, inputs: Inputs) -> tuple[NDArray[Any], ...]:
        """Runs one inference; all outputs, in the order in which the network returns them."""
        results = self._infer(inputs)
        return tuple(results[position] for position in range(self._n_outputs))

    def counters(self, inputs: Inputs) -> list[openvino.ProfilingInfo]:
        """Runs one inference and gives what OpenVINO counted; the options must ask for it."""
        self._infer(inputs)
        counted: list[openvino.ProfilingInfo] = self._request(as_arrays(self._inputs, inputs)).profiling_info
        return counted

    def executed_model(self, inputs: Inputs) -> openvino.Model:
        """The graph that is executed for inputs of these shapes, with what was fused and in which precision."""
        return self._request(as_arrays(self._inputs, inputs)).get_compiled_model().get_runtime_model()

    def _infer(self, inputs: Inputs) -> Any:  # Any: a mapping that also takes positions
        arrays = as_arrays(self._inputs, inputs)
        # The inputs are read where they lie; the outputs are copies, which the next inference leaves alone.
        return self._request(arrays).infer(dict(enumerate(arrays)), share_inputs=True)

    def _request(self, arrays: tuple[NDArray[Any], ...]) -> openvino.InferRequest:
        shapes = tuple(array.shape for array in arrays)
        if shapes not in self._requests:
            self._requests[shapes] = self._compile(shapes).create_infer_request()
            while len(self._requests) > _MOST_COMPILED:
                self._requests.popitem(last=False)
        self._requests.move_to_end(shapes)
        return self._requests[shapes]

    def _compile(self, shapes: Shapes) -> openvino.CompiledModel:
        model = self._model.clone()
        try:
            model.reshape({position: list(shape) for position, shape in enumerate(shapes)})
            return openvino.Core().compile_model(model, "CPU", self._options)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise MeasurementError(
                f"OpenVINO must be able to compile the network for inputs of {shapes}, but: {reason}: export it again"
            ) from error


def _input_spec(port: Any) -> InputSpec:  # Any: OpenVINO's ports are not typed
    shape = tuple(int(size.get_length()) if size.is_static else None for size in port.partial_shape)
    return InputSpec(port.any_name, shape, np.dtype(port.element_type.to_dtype()))
