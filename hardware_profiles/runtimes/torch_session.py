"""A PyTorch archive loaded and ready to run, on whatever device."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.utils import _pytree

from .inputs import InputSpec, as_arrays, zero_inputs
from .runtime import Inputs, OperatorTime
from .sparse_weights import build_sparse_weights
from .torch_artefact import is_multiplying, module_of, operator_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

Function: TypeAlias = Callable[..., Any]

_PROFILE_WARMUP = 2
_PRECISIONS = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16", torch.int8: "int8"}


class TorchSession:
    """A loaded network; an inference is host to host, on a GPU with the copies there and back."""

    def __init__(
        self,
        program: ExportedProgram,
        threads: int,
        device: str = "cpu",
        compile_function: Callable[[Function], Function] | None = None,
    ) -> None:
        """Prepares a network for execution.

        Args:
            program: The network, on the device.
            threads: Of PyTorch's one pool, which all of a process's sessions share: it is set at each inference.
            device: Where it computes.
            compile_function: What makes another function of the network's.

        Raises:
            MeasurementError: A sparse weight is not sound.
        """
        self._inputs = tuple(_input_spec(node) for node in _input_nodes(program))
        # The shapes were checked when the inputs were made; checking them again costs time in each inference.
        self._module = program.module(check_guards=False)
        if device == "cpu" and compile_function is None:
            build_sparse_weights(self._module)
        self._function = self._module if compile_function is None else compile_function(self._module)
        self._threads, self._device = threads, device

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
        return _as_array(self._outputs(inputs)[0])

    def run_all(self, inputs: Inputs) -> tuple[NDArray[Any], ...]:
        """Runs one inference; all outputs, in the order in which the network returns them."""
        return tuple(_as_array(output) for output in self._outputs(inputs))

    def operator_times(self, inputs: Inputs, layers: tuple[str, ...], repeats: int) -> tuple[OperatorTime, ...]:
        """Runs the network operator by operator: median per operator, in µs, in execution order."""
        tensors = self._tensors(inputs)
        timer = _Timer(self._module, frozenset(layers), self._synchronize)
        with torch.inference_mode():
            runs = [timer.timed(tensors) for _ in range(_PROFILE_WARMUP + repeats)][_PROFILE_WARMUP:]
        return tuple(
            OperatorTime(
                first.layer, first.operator, first.precision, statistics.median(each.microseconds for each in same)
            )
            for same in zip(*runs, strict=True)
            for first in same[:1]
        )

    def _outputs(self, inputs: Inputs) -> list[Tensor]:
        tensors = self._tensors(inputs)
        with torch.inference_mode():
            results = self._function(*tensors)
        return [leaf for leaf in _pytree.tree_leaves(results) if isinstance(leaf, Tensor)]

    def _tensors(self, inputs: Inputs) -> list[Tensor]:
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        arrays = as_arrays(self._inputs, inputs)
        return [torch.from_numpy(a if a.flags.writeable else a.copy()).to(self._device) for a in arrays]

    def _synchronize(self) -> None:
        if self._device != "cpu":
            torch.cuda.synchronize()


class _Timer(fx.Interpreter):
    """Runs a graph node by node and takes down the time of each operator."""

    def __init__(self, module: torch.nn.Module, layers: frozenset[str], synchronize: Callable[[], None]) -> None:
        super().__init__(module)
        self._layers, self._synchronize = layers, synchronize
        self._times: list[OperatorTime] = []

    def timed(self, inputs: list[Tensor]) -> list[OperatorTime]:
        self._times = []
        self.run(*inputs)
        return self._times

    def run_node(self, n: fx.Node) -> Any:  # Any: fx passes values of any type
        if n.op != "call_function":
            return super().run_node(n)
        self._synchronize()
        start = time.perf_counter()
        value = super().run_node(n)
        self._synchronize()
        microseconds = 1e6 * (time.perf_counter() - start)
        module = module_of(n)
        precision = _PRECISIONS.get(value.dtype, "") if is_multiplying(n) else ""
        layer = module if module in self._layers else None
        self._times.append(OperatorTime(layer, operator_name(n), precision, microseconds))
        return value


def _input_nodes(program: ExportedProgram) -> list[fx.Node]:
    names = set(program.graph_signature.user_inputs)
    return [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]


def _input_spec(node: fx.Node) -> InputSpec:
    value = node.meta["val"]
    # A free size is a symbol, whatever torch declares.
    shape = tuple(size if isinstance(size, int) else None for size in value.shape)
    return InputSpec(node.name, shape, torch.empty(0, dtype=value.dtype).numpy().dtype)


def _as_array(output: Tensor) -> NDArray[Any]:
    return np.ascontiguousarray(output.cpu().numpy())
