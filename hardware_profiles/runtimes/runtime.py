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

# How runtimes call a product with a weight in blocks of few bits.
_WEIGHT_ONLY_OPERATORS = frozenset({"MatMulNBits", "FullyConnectedCompressed"})
# Likewise a product with the weights alone that are not zero.
_SPARSE_OPERATORS = frozenset({"parefront.csr_linear"})


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """The time of one operator that a runtime executed.

    Attributes:
        layer: The network's layer it belongs to, None where it belongs to none.
        operator: The runtime's own name of the kernel's type, for instance "QLinearConv".
        precision: What it multiplies a layer's weight in: "int8", "bf16", "fp16" or "fp32". Empty for operators that do
            not (a pooling, a conversion, a weight unpacked on the way): they say nothing about a layer's precision.
        microseconds: Median over the repeats, in µs.
    """

    layer: str | None
    operator: str
    precision: str
    microseconds: float


@dataclass(frozen=True, slots=True)
class ExecutedPrecision:
    """In which precision each layer really ran, in execution order.

    Attributes:
        int8_layers: Layers whose multiplications are all in 8-bit integers.
        float_layers: Layers in float32, or in several precisions.
        weight_only_layers: Layers that multiply with a weight in blocks of few bits.
        bf16_layers: Layers whose multiplications are all in bfloat16.
        fp16_layers: Layers whose multiplications are all in IEEE half precision.
        sparse_layers: Layers that multiply with the weights alone that are not zero.
    """

    int8_layers: tuple[str, ...]
    float_layers: tuple[str, ...]
    weight_only_layers: tuple[str, ...] = ()
    bf16_layers: tuple[str, ...] = ()
    fp16_layers: tuple[str, ...] = ()
    sparse_layers: tuple[str, ...] = ()


def executed_precision(times: Sequence[OperatorTime]) -> ExecutedPrecision:
    """Sorts the layers by the precision they were executed in.

    Layers without an operator that multiplies (fused away, or not known by name) are nowhere: compare with the plan's
    layers to find what is missing.
    """
    found: dict[str, set[str]] = {}
    for time in times:
        if time.layer is not None and time.precision:
            found.setdefault(time.layer, set()).add(time.precision)

    def executed_by(operators: frozenset[str]) -> tuple[str, ...]:
        named = (time.layer for time in times if time.layer is not None and time.operator in operators)
        return tuple(dict.fromkeys(named))

    def executed_in(precision: str) -> tuple[str, ...]:
        return tuple(layer for layer, precisions in found.items() if precisions == {precision})

    few = {precision: executed_in(precision) for precision in ("int8", "bf16", "fp16")}
    sorted_out = {layer for layers in few.values() for layer in layers}
    return ExecutedPrecision(
        int8_layers=few["int8"],
        float_layers=tuple(layer for layer in found if layer not in sorted_out),
        weight_only_layers=executed_by(_WEIGHT_ONLY_OPERATORS),
        bf16_layers=few["bf16"],
        fp16_layers=few["fp16"],
        sparse_layers=executed_by(_SPARSE_OPERATORS),
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

    def check_device(self) -> None:
        """Checks that networks can be run here; writing them needs no device.

        Raises:
            ProfileError: The device, or what compiles for it, is missing on this machine.
        """

    def export(self, module: nn.Module, example_inputs: tuple[Tensor, ...], plan: PrecisionPlan, path: Path) -> None:
        """Writes a finished network in the given precision.

        Raises:
            ExportError: The network or the plan cannot be expressed.
        """

    def open_session(self, path: Path, threads: int) -> Session:
        """Loads an artefact for execution on so many threads.

        Raises:
            MeasurementError: The file cannot be loaded.
            ProfileError: See `check_device`.
        """

    def profile_operators(self, path: Path, inputs: Inputs, threads: int, repeats: int) -> tuple[OperatorTime, ...]:
        """Times every operator, in execution order: median over the repeats.

        Raises:
            MeasurementError: The file cannot be loaded.
        """
