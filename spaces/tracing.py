"""Turns a model into a graph: symbolically, yet knowing every shape, so that conditions on shapes are decided.

A forward may branch on shapes and on Python values; a branch on the data itself cannot be one graph. The module that
holds such a branch becomes a single opaque node, and everything around it is traced all the same.
"""

from __future__ import annotations

import inspect
import operator
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ..hardware_profiles.errors import SpaceError
from .attention import HeadAttention, HeadWeights
from .graph import does_not_run, run_without_data
from .shaped_proxy import ShapedProxy

_COMPOSITES = (
    nn.Sequential,
    nn.Transformer,
    nn.TransformerEncoder,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoder,
    nn.TransformerDecoderLayer,
)
"""Modules of torch's own that are made of layers, and are looked into."""
_UNITS = (HeadAttention, HeadWeights)
"""Modules of ours that are one node."""
_APPLY = vars(torch.autograd.Function)["apply"]
_NOT_THE_USERS = (str(Path(torch.__file__).parent), str(Path(__file__).parent))


@dataclass(frozen=True, slots=True)
class Opaque:
    """A module whose forward could not become a graph, and stays one node.

    Attributes:
        name: Dotted module name.
        reason: Why, with file and line.
    """

    name: str
    reason: str


class ShapedTracer(fx.Tracer):
    """Records the forward, and runs each recorded operation on tensors without data to know its shape."""

    def __init__(self, example_inputs: tuple[Tensor, ...], opaque: frozenset[str]) -> None:
        super().__init__()
        self.values: dict[fx.Node, Any] = {}
        self.current = ""
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        self._inputs = iter([self._mode.from_tensor(each) for each in example_inputs])
        self._opaque = opaque
        self._is_running = False
        self.has_static_sizes = False
        self.proxy_buffer_attributes = True

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Torch's own layers, our units, and what could not be traced."""
        if module_qualified_name in self._opaque or isinstance(m, _UNITS):
            return True
        return not isinstance(m, _COMPOSITES) and super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Remembers which module was being traced, so that a failure can name it."""
        if self._is_running:
            return forward(*args, **kwargs)
        outer, self.current = self.current, self.path_of_module(m)
        result = super().call_module(m, forward, args, kwargs)
        self.current = outer
        return result

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """A parameter stands as a proxy in what is recorded, and as itself in what is run."""
        return attr_val if self._is_running else super().getattr(attr, attr_val, parameter_proxy_cache)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """A proxy that knows its example's value."""
        return ShapedProxy(node, self)

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *names: Any, **options: Any) -> Any:
        """Records an operation; functions that a library marked as opaque (`fx.wrap`) are looked into if possible."""
        if kind == "call_function" and _is_wrapped(target) and not self._is_running:
            # With static sizes what is built from them (a mask) is a constant; without, sizes may follow pruning.
            for self.has_static_sizes in (False, True):
                inner = self._look_into(target, args, kwargs)
                if inner is not None:
                    self.has_static_sizes = False
                    return inner
            self.has_static_sizes = False
        result = super().create_proxy(kind, target, args, kwargs, *names, **options)
        self.values[result.node] = self._run(result.node)
        return result

    def to_bool(self, obj: fx.Proxy) -> bool:
        """Decides a condition by the example, unless it depends on data."""
        assert isinstance(obj, ShapedProxy)
        if isinstance(obj.value, Tensor):
            raise SpaceError("data-dependent control flow")
        return bool(obj.value)

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        """Iterates over as many elements as the example has."""
        assert isinstance(obj, ShapedProxy)
        items = [self.create_proxy("call_function", operator.getitem, (obj, i), {}) for i in range(len(obj.value))]
        return iter(items)

    def sizes_of(self, proxy: ShapedProxy) -> tuple[Any, ...]:
        """The shape of a tensor as numbers, but for the batch."""
        return self.create_proxy("call_method", "size", (proxy, 0), {}), *proxy.value.shape[1:]

    def _look_into(self, function: Callable[..., Any], args: Any, kwargs: Any) -> fx.Proxy | None:
        """What an opaque function gives when it is run on proxies; None where that does not work."""
        known = set(self.graph.nodes)
        try:
            result = function(*args, **kwargs)
            if isinstance(result, fx.Proxy):
                return result
        except Exception:  # it is opaque for a reason, which may be any
            result = None
        for node in reversed([node for node in self.graph.nodes if node not in known]):
            self.graph.erase_node(node)
        return None

    def _run(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            return next(self._inputs, node.args[0] if node.args else None)
        if node.op == "output":
            return None
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), self._value_of)
        self._is_running = True
        try:
            return run_without_data(self.root, node, args, kwargs, self._mode)
        except Exception as error:
            raise _RunError(str(node.target), error) from error
        finally:
            self._is_running = False

    def _value_of(self, node: fx.Node) -> Any:
        if node not in self.values:  # a constant tensor: fx records it on its own
            self.values[node] = self._run(node)
        return self.values[node]


class _RunError(Exception):
    def __init__(self, target: str, cause: Exception) -> None:
        super().__init__(f"{target}: {cause}")
        self.target, self.cause = target, cause


def trace_graph(model: nn.Module, example_inputs: tuple[Tensor, ...]) -> tuple[fx.GraphModule, tuple[Opaque, ...]]:
    """The graph of a model in evaluation mode, and the modules in it that had to stay opaque.

    Args:
        model: Becomes part of the graph module.
        example_inputs: A batch of every input.

    Raises:
        SpaceError: The model's own forward cannot be traced or does not run; names the place.
    """
    opaque: dict[str, str] = {}
    while True:
        tracer = ShapedTracer(example_inputs, frozenset(opaque))
        try:
            with (
                mock.patch.object(torch.autograd.Function, "apply", classmethod(_refuse_custom_gradient)),
                # Torch's transformers look at a mask's data to tell an attention that does not ask, and at its class.
                mock.patch.object(nn.functional, "_none_or_dtype", lambda mask: getattr(mask, "dtype", None)),
                mock.patch.object(nn.modules.transformer, "_detect_is_causal_mask", _as_it_was_told),
            ):
                graph = tracer.trace(model, concrete_args=_defaults(model, len(example_inputs)))
        except _RunError as error:
            raise does_not_run(example_inputs, error.target, error.cause) from error
        except Exception as error:
            name, reason = tracer.current, _reason(error)
            if not name or name in opaque:
                raise SpaceError(
                    f"the network's forward must be traceable, but module {name or '(root)'!r} is not: {reason}; "
                    "move what depends on the data out of it, into a module of its own"
                ) from error
            opaque[name] = reason
            continue
        _tidy(graph)
        module = fx.GraphModule(model, graph)
        return module, tuple(Opaque(name, reason) for name, reason in opaque.items())


def _as_it_was_told(mask: object, is_causal: bool | None = None, size: object = None) -> bool:
    return bool(is_causal)


def _refuse_custom_gradient(cls: type, *args: Any, **kwargs: Any) -> Any:
    if not any(isinstance(each, fx.Proxy) for each in (*args, *kwargs.values())):  # an opaque module is being run
        return _APPLY.__get__(None, cls)(*args, **kwargs)
    raise SpaceError(f"{cls.__name__} has a gradient of its own, which a graph would lose")


def _defaults(model: nn.Module, n_inputs: int) -> dict[str, Any]:
    """The forward's arguments beyond the example inputs, at their defaults."""
    parameters = list(inspect.signature(model.forward).parameters.values())[n_inputs:]
    return {each.name: each.default for each in parameters if each.default is not inspect.Parameter.empty}


def _is_wrapped(target: Any) -> bool:
    """Whether a function is somebody's Python code rather than an operation of torch or Python."""
    return inspect.isfunction(target) and not str(target.__module__).startswith(("torch.", "_operator", "builtins"))


def _tidy(graph: fx.Graph) -> None:
    """Drops assertions, and fx's mark on what came out of functions that were looked into."""
    for node in reversed(list(graph.nodes)):
        if not _is_wrapped(node.target):
            node.meta.pop("is_wrapped", None)
        if node.op == "call_function" and node.target in (torch._assert, torch._assert_async):
            graph.erase_node(node)


def _reason(error: Exception) -> str:
    where = traceback.extract_tb(error.__traceback__)
    place = next((frame for frame in reversed(where) if not frame.filename.startswith(_NOT_THE_USERS)), where[-1])
    what = " ".join((str(error) or type(error).__name__).split())
    return f"{what} ({place.filename}:{place.lineno})"
