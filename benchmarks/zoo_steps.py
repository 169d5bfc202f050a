"""ONNX Runtime beside the simulation in torch, rounding by rounding: what the runtime computes from its own integers.

Networks of random weights can amplify the least difference: the float layers of two libraries sum in different orders,
now and then a value next to a half is rounded the other way, and the outputs have little in common. That says nothing
about whether the runtime executes what was planned. Here each layer of the simulation is given the runtime's integers,
so that every layer is compared on equal inputs and nothing adds up.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from torch import Tensor, fx

from parefront.hardware_profiles.export.quantized_layers import Rounding

Integers = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Stepwise:
    """What the comparison found.

    Attributes:
        n_values: Rounded values that were compared.
        n_otherwise: Those that the runtime rounds otherwise than torch.
        farthest: How far the farthest of these lies from the half between its two integers, in steps; 0 where none is.
        difference: Largest relative difference of the outputs, given the runtime's integers.
    """

    n_values: int
    n_otherwise: int
    farthest: float
    difference: float


def compare_stepwise(path: Path, simulated: fx.GraphModule, images: Tensor) -> Stepwise:
    """Runs a simulation on the integers that the runtime has at each rounding.

    Args:
        path: The exported network.
        simulated: The same network in torch, see `simulate`.
        images: Inputs, shape (n, ...).
    """
    actual, integers = _runtime_integers(path, images)
    run = _GivenIntegers(simulated, integers)
    with torch.no_grad():
        outputs = run.run(images)
    difference = float((actual - outputs).abs().max() / outputs.abs().max())
    return Stepwise(run.n_values, run.n_otherwise, run.farthest, difference)


class _GivenIntegers(fx.Interpreter):
    """Computes a simulation, but takes the result of each rounding from elsewhere where it is known."""

    def __init__(self, simulated: fx.GraphModule, integers: Integers) -> None:
        super().__init__(simulated)
        self.integers = integers
        self.n_values = self.n_otherwise = 0
        self.farthest = 0.0

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:  # fx passes values of any type
        """Gives what a module gives; of a rounding, the runtime's values."""
        rounding = self.fetch_attr(target)
        given = self.integers.get(target)
        if not isinstance(rounding, Rounding) or given is None:
            return super().call_module(target, args, kwargs)
        own = rounding.integers(args[0])
        steps = rounding.steps(args[0]).clamp(-rounding.zero, 255 - rounding.zero)
        given = given if given.shape == own.shape else given.permute(0, 3, 1, 2)  # the runtime's own layout
        distances = (given - rounding.zero - steps).abs()
        self.n_values += given.numel()
        self.n_otherwise += int((given != own).sum())
        self.farthest = max(self.farthest, float(distances.max()) - 0.5)
        return (given - rounding.zero) * rounding.step


def _runtime_integers(path: Path, images: Tensor) -> tuple[Tensor, Integers]:
    """The outputs of a network in ONNX Runtime, and the integers at its roundings by the names of their modules.

    The operators are those of the optimised network: it is written to a file, told to show what is inside, and run as
    it is. Roundings that the optimiser took out or renamed are not among them: there the simulation goes on with its
    own, and what it gets wrong shows at the next.
    """
    with tempfile.TemporaryDirectory(prefix="parefront-zoo-") as folder:
        optimised = Path(folder) / "optimised.onnx"
        options = _options()
        options.optimized_model_filepath = str(optimised)
        expected = _run(onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]), images)[0]
        model = onnx.load(optimised)
    names = [name for node in model.graph.node for name in node.output if _rounding_of(name)]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    options = _options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    content = model.SerializeToString()
    found = _run(onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"]), images)
    assert torch.equal(found[0], expected), "the network computes something else when it shows what is inside"
    integers: Integers = {}
    for name, value in zip(names, found[len(found) - len(names) :], strict=True):
        if value.dtype is torch.uint8:
            integers.setdefault(_rounding_of(name), value.float())
    return found[0], integers


def _rounding_of(tensor: str) -> str:
    """The module that made a tensor of an exported network, where that is a rounding; else nothing."""
    if "/QuantizeLinear" not in tensor:
        return ""
    return next((part for part in tensor.split("/") if part.startswith("rounding_")), "")


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # it warns that an optimised network suits this machine only
    return options


def _run(session: onnxruntime.InferenceSession, images: Tensor) -> list[Tensor]:
    values = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    return [torch.from_numpy(value) for value in values]
