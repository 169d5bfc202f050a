"""Writes a finished network in a given precision as one ONNX file with QuantizeLinear/DequantizeLinear pairs (QDQ).

Runtimes recognise a layer between such pairs and execute it in integers. The pairs stand where `lowering` rounds, and
hold the same integers: the file is the simulation, written down. A layer in half precision stands there in its type,
its weight stored so, with a Cast where `lowering` has one.
"""

from __future__ import annotations

import copy
import io
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import ModelProto
from torch import Tensor, fx, nn
from torch.utils import _pytree

from ..errors import ExportError
from ..precision import PrecisionPlan
from ..runtimes.runtime import LAYERS_KEY, external_data
from .float_layers import keep_in_float
from .lowering import lower, put_module
from .onnx_layers import name_layers, rename_tensors, split_shared_parameters
from .quantized_layers import FloatLinear
from .sizes import settle_sizes
from .weight_only import WeightOnlyLinear

_OPSET = 17
# Convolutions take bf16 from 22 on. The exporter ends at 20; what changed in between is which types operators take, but
# for GroupNormalization, which the exporter writes as others.
_TRACED_FOR_BF16 = 20
_OPSET_OF_BF16 = 22
_IR_VERSION_OF_BF16 = 10
_BATCH = "batch"
_IR_VERSION = 8
# A protocol buffer ends at 2 GiB; the graph beside the weights is small, but not nothing.
LARGEST_FILE_BYTES = 2**31 - 2**26
_EXTERNAL_FROM_BYTES = 1024


def export_onnx(
    module: nn.Module,
    example_inputs: tuple[Tensor, ...],
    plan: PrecisionPlan,
    path: Path,
    *,
    largest_file_bytes: int = LARGEST_FILE_BYTES,
) -> None:
    """Writes a network as an ONNX file, the planned layers and tensors in few bits.

    Inputs are named "input", "input_1", ..., outputs "output", "output_1", ... in the order in which the module takes
    and returns them (out of tuples, lists and dictionaries); the batch is free. Layers have their names as nodes (see
    `name_layers`), and the file's metadata lists them.

    Args:
        module: A finished network (BN folded); it is left as it is.
        example_inputs: One batch of every input, of any size, shape (n, ...).
        plan: The layers and tensors in few bits, by the names of `precision`.
        path: Where to write; its folder must exist. The weights of a network that is too large for one file lie in
            `external_data(path)` beside it.
        largest_file_bytes: What is too large for one file.

    Raises:
        ExportError: The network cannot be traced, or the plan names what is not there or cannot execute so.
    """
    model = _trace(_exportable(module, plan, example_inputs), example_inputs, largest_file_bytes)
    keep_in_float(model.graph)
    layers = name_layers(model.graph)
    metadata = model.metadata_props.add()
    metadata.key, metadata.value = LAYERS_KEY, json.dumps(list(layers))
    external_data(path).unlink(missing_ok=True)
    if _stored_bytes(model) > largest_file_bytes:
        onnx.save(
            model,
            path,
            save_as_external_data=True,
            location=external_data(path).name,
            size_threshold=_EXTERNAL_FROM_BYTES,
        )
        onnx.checker.check_model(path)
        return
    content = model.SerializeToString()
    onnx.checker.check_model(content)  # given the model it would serialise it once more
    path.write_bytes(content)


class _Flattened(nn.Module):
    """Returns the tensors in whatever a network returns, in order."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        leaves = _pytree.tree_leaves(self.network(*inputs))
        return tuple(leaf for leaf in leaves if isinstance(leaf, Tensor))


def _exportable(module: nn.Module, plan: PrecisionPlan, example_inputs: tuple[Tensor, ...]) -> nn.Module:
    """A copy in the given precision whose parameters keep their names when it is exported."""
    if plan.is_neutral:
        exportable = copy.deepcopy(module)
    else:
        exportable = lower(module if isinstance(module, fx.GraphModule) else fx.symbolic_trace(module), plan)
    if isinstance(exportable, fx.GraphModule):
        settle_sizes(exportable, example_inputs)
    if type(exportable) is nn.Linear:
        return FloatLinear(exportable)
    for name, layer in list(exportable.named_modules()):
        if type(layer) is nn.Linear:
            put_module(exportable, name, FloatLinear(layer))
    return exportable


def _trace(module: nn.Module, example_inputs: tuple[Tensor, ...], largest_file_bytes: int) -> ModelProto:
    """Traces a module, in evaluation mode, to an ONNX model with named inputs and outputs and a free batch.

    Raises:
        ExportError: The exporter fails.
    """
    names = ["input", *(f"input_{position}" for position in range(1, len(example_inputs)))]
    has_bf16 = any(parameter.dtype is torch.bfloat16 for parameter in module.parameters())
    options: dict[str, Any] = {  # Any: the exporter's options are of all types
        "dynamo": False,
        "opset_version": _TRACED_FOR_BF16 if has_bf16 else _OPSET,
        "input_names": names,
        "dynamic_axes": {name: {0: _BATCH} for name in names},
    }
    if any(isinstance(each, WeightOnlyLinear) for each in module.modules()):
        options["custom_opsets"] = {"com.microsoft": 1}
    inputs = tuple(each.detach().cpu() for each in example_inputs)
    n_bytes = sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
    try:
        # A failing export would print its whole graph.
        torch._C._jit_set_onnx_log_enabled(False)
        with warnings.catch_warnings(), torch.no_grad():
            # The TorchScript exporter is deprecated, but takes 0.05 s per candidate, the newer one 1.5-4.5 s.
            warnings.simplefilter("ignore")
            model = _export(_Flattened(module).eval().cpu(), inputs, options, is_large=n_bytes > largest_file_bytes)
    except Exception as error:  # The exporter raises many unrelated classes; the reason is what the user needs.
        reason = " ".join(str(error).split())[:300]
        raise ExportError(
            f"the network must be exportable to ONNX, got {type(error).__name__} ({reason}): rewrite that operation"
        ) from error
    model.ir_version = max(model.ir_version, _IR_VERSION_OF_BF16 if has_bf16 else _IR_VERSION)
    if has_bf16:
        next(each for each in model.opset_import if not each.domain).version = _OPSET_OF_BF16
    split_shared_parameters(model.graph)
    rename_tensors(model.graph, {t.name: t.name.removeprefix("network.") for t in model.graph.initializer})
    _name_outputs(model, inputs[0].shape[0])
    return model


def _export(module: nn.Module, inputs: tuple[Tensor, ...], options: dict[str, Any], *, is_large: bool) -> ModelProto:
    if not is_large:
        buffer = io.BytesIO()
        torch.onnx.export(module, inputs, buffer, **options)  # type: ignore[arg-type]  # takes buffers too, undeclared
        return onnx.load_from_string(buffer.getvalue())
    with tempfile.TemporaryDirectory(prefix="parefront-export-") as folder:
        torch.onnx.export(module, inputs, Path(folder) / "model.onnx", **options)
        return onnx.load(Path(folder) / "model.onnx")


def _name_outputs(model: ModelProto, n_samples: int) -> None:
    """Names the outputs, and frees their batch."""
    values = list(model.graph.output)
    names = ["output", *(f"output_{position}" for position in range(1, len(values)))]
    rename_tensors(model.graph, {value.name: name for value, name in zip(values, names, strict=True)})
    for value, name in zip(values, names, strict=True):
        value.name = name
        dimensions = value.type.tensor_type.shape.dim
        if dimensions and dimensions[0].dim_value == n_samples:
            dimensions[0].dim_param = _BATCH


def _stored_bytes(model: ModelProto) -> int:
    return sum(len(tensor.raw_data) for tensor in model.graph.initializer)
