"""What a runtime must offer, and what it reports about what it executed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from ..precision import PrecisionPlan

# The key of a model file's metadata that lists the layers, as a JSON list of names in execution order.
LAYERS_KEY = "parefront.layers"

# The operators that do a layer's multiplications. Others (a pooling, a conversion) say nothing about its precision.
_LAYER_OPERATORS = frozenset(
    {"Conv", "FusedConv", "NhwcFusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"}
    | {"QLinearConv", "ConvInteger", "QGemm", "QLinearMatMul", "MatMulInteger", "MatMulIntegerToFloat"}
    | {"DynamicQuantizeMatMul"}
)
_WEIGHT_ONLY_OPERATORS = frozenset({"MatMulNBits"})


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """The time of one operator that a runtime executed.

    Attributes:
        layer: The network's layer it belongs to, None where it belongs to none.
        operator: The runtime's own name of the kernel's type, for instance "QLinearConv".
        is_int8: Whether it computes in 8-bit integers.
        microseconds: Median over the repeats, in µs.
    """

    layer: str | None
    operator: str
    is_int8: bool
    microseconds: float


@dataclass(frozen=True, slots=True)
class ExecutedPrecision:
    """In which precision each layer really ran, in execution order.

    Attributes:
        int8_layers: Layers whose multiplications are all in 8-bit integers.
        float_layers: The other layers.
        weight_only_layers: Layers that multiply with a weight in blocks of few bits.
    """

    int8_layers: tuple[str, ...]
    float_layers: tuple[str, ...]
    weight_only_layers: tuple[str, ...] = ()


def executed_precision(times: Sequence[OperatorTime]) -> ExecutedPrecision:
    """Sorts the layers by the precision they were executed in.

    A layer is int8 only if every operator that does its multiplications is. Layers without such an operator (fused
    away, or not known by name) are in neither list: compare with the plan's layers to find what is missing.
    """
    is_int8: dict[str, bool] = {}
    weight_only = {time.layer for time in times if time.layer is not None and time.operator in _WEIGHT_ONLY_OPERATORS}
    for time in times:
        if time.layer is not None and time.operator in _LAYER_OPERATORS:
            is_int8[time.layer] = is_int8.get(time.layer, True) and time.is_int8
    return ExecutedPrecision(
        int8_layers=tuple(layer for layer, value in is_int8.items() if value),
        float_layers=tuple(layer for layer, value in is_int8.items() if not value),
        weight_only_layers=tuple(dict.fromkeys(time.layer for time in times if time.layer in weight_only)),
    )


def external_data(path: Path) -> Path:
    """The file beside an artefact that holds the weights of a network too large for one file."""
    return path.with_name(f"{path.name}.data")


def copy_external_data(source: Path, target: Path) -> None:
    """Copies the weights that lie beside a model file into another folder, where its copy looks for them.

    They keep their name, which stands in the model.
    """
    weights = external_data(source)
    if weights.exists() and weights.parent.resolve() != target.parent.resolve():
        shutil.copyfile(weights, target.parent / weights.name)


Inputs: TypeAlias = "NDArray[Any] | tuple[NDArray[Any], ...]"
"""The input of a network, or one array for each of its inputs, in order."""


class Session(Protocol):
    """A network loaded and ready to run."""

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """The shape of the first input, None where a dimension is free (the batch)."""

    def zeros(self, batch_size: int) -> tuple[NDArray[Any], ...]:
        """Inputs of zeros in the types and shapes that the network takes.

        Raises:
            MeasurementError: More than the batch is free.
        """

    def run(self, inputs: Inputs) -> NDArray[Any]:
        """Runs one inference; of several outputs the first is returned."""

    def run_all(self, inputs: Inputs) -> tuple[NDArray[Any], ...]:
        """Runs one inference; all outputs, in the order in which the network returns them."""


class Runtime(Protocol):
    """A program that executes networks: writes its artefact, loads it, runs it, says what it executed."""

    @property
    def name(self) -> str:
        """The name a profile uses."""

    @property
    def version(self) -> str:
        """The installed version: part of the fingerprint of a measurement."""

    def export(self, module: nn.Module, example_inputs: tuple[Tensor, ...], plan: PrecisionPlan, path: Path) -> None:
        """Writes a finished network in the given precision.

        Raises:
            ExportError: The network or the plan cannot be expressed.
        """

    def open_session(self, path: Path, threads: int) -> Session:
        """Loads an artefact for execution on so many threads.

        Raises:
            MeasurementError: The file cannot be loaded.
        """

    def profile_operators(self, path: Path, inputs: Inputs, threads: int, repeats: int) -> tuple[OperatorTime, ...]:
        """Times every operator, in execution order: median over the repeats.

        Raises:
            MeasurementError: The file cannot be loaded.
        """
