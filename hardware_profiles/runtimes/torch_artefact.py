"""Writes and reads networks as PyTorch archives (.pt2): a graph of ATen operators and its tensors."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram

from ..errors import ExportError, MeasurementError
from ..export.lowering import lower
from ..export.sparse_linear import SPARSE_OPERATOR, sparse_product, with_sparse_layers
from ..precision import PrecisionPlan
from .pt2_archive import check_archive
from .runtime import LAYERS_KEY

_BATCH = "batch"
# Where each operator came from in Python: paths of this machine, and several times the size of the graph.
_SOURCES = ("stack_trace", "from_node", "torch_fn")

_MULTIPLYING = frozenset(
    {f"aten.conv{n}d" for n in (1, 2, 3)}
    | {"aten.conv_transpose1d", "aten.conv_transpose2d", "aten.conv_transpose3d", "aten.convolution"}
    | {"aten.linear", "aten.addmm", "aten.mm", "aten.matmul", "aten.bmm", "aten.baddbmm", SPARSE_OPERATOR}
)


def export_pt2(
    module: nn.Module,
    example_inputs: tuple[Tensor, ...],
    plan: PrecisionPlan,
    path: Path,
    *,
    executes_sparse: bool = False,
) -> None:
    """Writes a network as a PyTorch archive; the batch is free, and an extra file lists the layers.

    Args:
        module: A finished network (BN folded); it is left as it is.
        example_inputs: One batch of every input, shape (n, ...).
        plan: Layers in half precision; PyTorch executes none in integers.
        path: Where to write; its folder must exist.
        executes_sparse: Whether the plan's sparse layers are written as such; else as dense ones, zeros and all.

    Raises:
        ExportError: The plan holds integers, or the network cannot be exported.
    """
    if plan.tensors:
        raise ExportError(
            f"PyTorch must be given layers in float, got {len(plan.layers)} in int8 and {len(plan.weight_only_layers)} "
            "with weights in few bits: choose a runtime that reads ONNX, or weight_bits without 8"
        )
    if plan.halves or plan.sparse:
        module = lower(module if isinstance(module, fx.GraphModule) else fx.symbolic_trace(module), plan)
    if executes_sparse:
        module = with_sparse_layers(module, plan.sparse)
    program = _exported(_with_own_tensors(module), example_inputs)
    program.example_inputs = None  # They would be stored, pickled.
    for node in program.graph.nodes:
        for source in _SOURCES:
            node.meta.pop(source, None)
    torch.export.save(program, path, extra_files={LAYERS_KEY: json.dumps(list(_layers(program)))})


def load_pt2(path: Path) -> tuple[ExportedProgram, tuple[str, ...]]:
    """Reads a network and the list of its layers.

    Raises:
        MeasurementError: The file is damaged, holds what could run code, or was written by another PyTorch.
    """
    check_archive(path)
    extra = {LAYERS_KEY: "[]"}
    try:
        with path.open("rb") as file:  # A file may have any name.
            program = torch.export.load(file, extra_files=extra)
    except Exception as error:  # torch raises many unrelated classes; the reason is what the user needs.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise MeasurementError(f"PyTorch must be able to load {path.name}, but: {reason}: export it again") from error
    return program, tuple(json.loads(extra[LAYERS_KEY]))


def module_of(node: fx.Node) -> str:
    """The name of the innermost module that an operator was called in; empty for the network itself."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    return str(stack[-1][0]) if stack else ""


def is_multiplying(node: fx.Node) -> bool:
    """Whether an operator does a layer's multiplications."""
    return node.op == "call_function" and operator_name(node) in _MULTIPLYING


def operator_name(node: fx.Node) -> str:
    """An operator's name, for instance `aten.conv2d`."""
    if node.target is sparse_product:
        return SPARSE_OPERATOR  # whose place it has taken
    return str(node.target).rpartition(".")[0] if isinstance(node.target, torch._ops.OpOverload) else str(node.target)


def _layers(program: ExportedProgram) -> tuple[str, ...]:
    """The modules whose weight an operator multiplies with, in execution order."""
    names = (module_of(node) for node in program.graph.nodes if is_multiplying(node))
    weights = ("weight", "values")  # of a sparse layer the values
    return tuple(dict.fromkeys(n for n in names if any(f"{n}.{weight}" in program.state_dict for weight in weights)))


def _with_own_tensors(module: nn.Module) -> nn.Module:
    """A copy for inference whose tensors are no parts of larger ones, as pruned ones may be: those would be stored."""
    copied = copy.deepcopy(module).eval()
    for tensor in (*copied.parameters(), *copied.buffers()):
        tensor.data = tensor.detach().clone(memory_format=torch.contiguous_format)
    return copied


def _exported(module: nn.Module, example_inputs: Sequence[Tensor]) -> ExportedProgram:
    # A batch of one would be taken for a constant.
    inputs = tuple(torch.cat([each, each]) if len(each) == 1 else each for each in example_inputs)
    shapes = tuple({0: Dim(_BATCH)} for _ in inputs)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # about operations that the exporter takes down as they are
            return torch.export.export(module, inputs, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # The exporter raises many unrelated classes; the reason is what the user needs.
        reason = " ".join(str(error).split())[:300]
        raise ExportError(
            f"the network must be exportable by PyTorch, got {type(error).__name__} ({reason}): rewrite that operation"
        ) from error
