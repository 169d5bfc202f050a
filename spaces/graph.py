"""Small questions to a graph: which module a node calls, who reads it, what shape it has."""

from __future__ import annotations

import logging
import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeGuard

import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx.passes.shape_prop import _extract_tensor_metadata
from torch.utils._pytree import tree_map_only

from ..hardware_profiles.errors import SpaceError

Convolution: TypeAlias = nn.Conv1d | nn.Conv2d | nn.Conv3d
TransposedConvolution: TypeAlias = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
LayerModule: TypeAlias = Convolution | TransposedConvolution | nn.Linear
_SHAPE_KEEPING = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.Dropout)
_ADDITIONS: frozenset[Any] = frozenset({operator.add, operator.iadd, torch.add, "add", "add_"})


def propagate_shapes(module: fx.GraphModule, example_inputs: tuple[Tensor, ...]) -> None:
    """Annotates the nodes of the graph with the shapes of their tensors; no value is computed.

    Raises:
        SpaceError: The network does not run on such an input; names the module that failed.
    """
    run = _ShapeRun(module, garbage_collect_values=True)
    try:
        run.run(*[run.mode.from_tensor(each) for each in example_inputs])
    except Exception as error:
        raise does_not_run(example_inputs, run.current, error) from error


def does_not_run(example_inputs: tuple[Tensor, ...], name: str, error: Exception) -> SpaceError:
    """The error of a network that fails on its example; names what failed."""
    shapes = " and ".join(str(tuple(each.shape)) for each in example_inputs)
    what = " ".join(str(error).split())
    return SpaceError(f"the network must run on an input of shape {shapes}, but {name!r} failed: {what}")


class _ShapeRun(fx.Interpreter):
    current = ""
    extra_traceback = False  # our own error says it in one line

    def __init__(self, module: fx.GraphModule, garbage_collect_values: bool) -> None:
        super().__init__(module, garbage_collect_values)
        self.mode = FakeTensorMode(allow_non_fake_inputs=True)

    def run_node(self, n: fx.Node) -> Any:  # fx passes values of any type
        if n.op in ("placeholder", "output"):
            value = super().run_node(n)
        else:
            self.current = str(n.target)
            value = run_without_data(self.module, n, *self.fetch_args_kwargs_from_env(n), self.mode)
        if isinstance(value, Tensor):
            n.meta["tensor_meta"] = _extract_tensor_metadata(value)
        elif isinstance(value, tuple | list) and value and all(isinstance(each, Tensor) for each in value):
            n.meta["tensor_meta"] = tuple(_extract_tensor_metadata(each) for each in value)
        return value


def shape_of(node: fx.Node) -> torch.Size:
    """The shape (n, ...) of a node's tensor, as the last `propagate_shapes` found it."""
    shape: torch.Size = node.meta["tensor_meta"].shape
    return shape


def run_node(root: nn.Module, node: fx.Node, args: Any, kwargs: Any) -> Any:
    """The value of one node, given those of its arguments."""
    if node.op == "get_attr":
        value: Any = root
        for part in str(node.target).split("."):
            value = getattr(value, part)
        return value
    if node.op == "call_module":
        return root.get_submodule(str(node.target))(*args, **kwargs)
    if node.op == "call_method":
        return getattr(args[0], str(node.target))(*args[1:], **kwargs)
    assert callable(node.target)
    return node.target(*args, **kwargs)


def run_without_data(root: nn.Module, node: fx.Node, args: Any, kwargs: Any, mode: FakeTensorMode) -> Any:
    """The value of one node on tensors of which only the shapes are known.

    What looks at the data itself is run on zeros instead, for the shape of its result.
    """
    known = _known_result(module_of(root, node), args)
    if known is not None:
        return known
    try:
        with _quietly(), mode, torch.no_grad():
            value = run_node(root, node, args, kwargs)
    except Exception:  # whatever cannot do without data; what is really wrong fails on zeros too
        args, kwargs = tree_map_only(Tensor, lambda x: torch.zeros(x.shape, dtype=x.dtype), (args, kwargs))
        with torch.no_grad():
            value = run_node(root, node, args, kwargs)
    return tree_map_only(Tensor, lambda x: x if isinstance(x, FakeTensor) else mode.from_tensor(x), value)


def _known_result(unit: nn.Module | None, args: Any) -> Tensor | None:
    """A tensor like the one that a module gives, where its sizes tell; running a layer to see costs milliseconds.

    None where that is not so, and where the module would refuse what it is given.
    """
    x = args[0] if len(args) == 1 else None
    if unit is None or not isinstance(x, Tensor):
        return None
    if isinstance(unit, nn.modules.batchnorm._BatchNorm):
        return x if not unit.training and unit.num_features == x.shape[1] else None
    if isinstance(unit, _SHAPE_KEEPING):
        return x
    if not x.is_contiguous():  # what these give of other layouts has one of its own
        return None
    if type(unit) is nn.LayerNorm:
        return x if x.shape[-len(unit.normalized_shape) :] == unit.normalized_shape else None
    shape = _layer_shape(unit, x)
    return None if shape is None else x.new_empty(shape)


def _layer_shape(unit: nn.Module, x: Tensor) -> tuple[int, ...] | None:
    """The shape that a linear layer or a convolution gives; None for others, and where the input does not fit."""
    if type(unit) not in (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d):  # a subclass may do anything
        return None
    assert is_layer(unit)
    out_channels, in_channels, *kernel = unit.weight.shape
    if x.dtype != unit.weight.dtype:
        return None
    if isinstance(unit, nn.Linear):
        return (*x.shape[:-1], out_channels) if x.shape[-1:] == (in_channels,) else None
    if x.dim() != unit.weight.dim() or x.shape[1] != in_channels * unit.groups or isinstance(unit.padding, str):
        return None
    if unit.weight.stride(-1) != 1:  # channels last, as its output would be
        return None
    axes = zip(x.shape[2:], kernel, unit.stride, unit.padding, unit.dilation, strict=True)
    sizes = [(n + 2 * padding - dilation * (k - 1) - 1) // stride + 1 for n, k, stride, padding, dilation in axes]
    return (len(x), out_channels, *sizes) if min(sizes) > 0 else None


@contextmanager
def _quietly() -> Iterator[None]:
    """Keeps torch from printing the traceback of what fails without data; the error itself is raised all the same."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    was_disabled, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = was_disabled


def module_of(module: nn.Module, node: object) -> nn.Module | None:
    """The submodule that a graph node calls, or None where it calls something else."""
    if isinstance(node, fx.Node) and node.op == "call_module":
        return module.get_submodule(str(node.target))
    return None


def attribute_of(module: nn.Module, node: fx.Node) -> Any:
    """The parameter, buffer or other attribute of a module that a `get_attr` node reads."""
    owner, _, name = str(node.target).rpartition(".")
    return getattr(module.get_submodule(owner), name)


def replace_module(module: nn.Module, name: str, new: nn.Module) -> None:
    """Puts `new` in the place of the submodule called `name`."""
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent), child, new)


def free_name(module: nn.Module, name: str) -> str:
    """A name like that one which no submodule, parameter or buffer has yet."""
    taken = {existing for existing, _ in module.named_modules()} | set(module.state_dict())
    return next(candidate for i in range(1, len(taken) + 2) if (candidate := f"{name}_{i}") not in taken)


def is_addition(node: object) -> bool:
    """Whether a graph node is the plain sum of two tensors."""
    return (
        isinstance(node, fx.Node)
        and node.op in ("call_function", "call_method")
        and node.target in _ADDITIONS
        and len(node.all_input_nodes) == 2
        and "alpha" not in node.kwargs
    )


def only_user(node: fx.Node) -> fx.Node | None:
    """The single node that reads this one, or None where there are several or none."""
    return next(iter(node.users)) if len(node.users) == 1 else None


def n_calls(module: fx.GraphModule, node: fx.Node) -> int:
    """How often the graph calls the submodule that a node calls."""
    return sum(other.op == "call_module" and other.target == node.target for other in module.graph.nodes)


def is_layer(module: nn.Module | None) -> TypeGuard[LayerModule]:
    """Whether a module is one of the layers that techniques work on."""
    return isinstance(module, LayerModule)
