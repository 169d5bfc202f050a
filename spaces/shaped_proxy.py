"""Stands for a value while a forward is traced, and answers what the forward asks of it: shapes, types, numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor, fx

from ..hardware_profiles.errors import SpaceError
from .rewriting import OUT_OF_PLACE

if TYPE_CHECKING:
    from .tracing import ShapedTracer

_FACTS = ("ndim", "dtype", "device", "requires_grad", "is_cuda", "is_nested", "is_quantized", "is_sparse")
"""Attributes of a tensor that no compression changes: read from the example."""


class ShapedProxy(fx.Proxy):
    """Stands for a value while the forward runs, and knows what the value is for the example (tensors: their shape)."""

    tracer: ShapedTracer

    @property
    def value(self) -> Any:  # whatever the forward computes with
        """The example's value; tensors without data."""
        return self.tracer.values[self.node]

    def __getattr__(self, name: str) -> Any:
        if name in _FACTS and isinstance(self.value, Tensor):
            return getattr(self.value, name)
        if name == "shape" and self.tracer.has_static_sizes:
            return self.tracer.sizes_of(self)
        return _ShapedAttribute(self, name)

    def __setitem__(self, index: Any, value: Any) -> None:
        if not self.tracer.has_static_sizes:
            raise SpaceError("part of a tensor is overwritten")
        self.tracer.create_proxy("call_function", operator.setitem, (self, index, value), {})

    def __iadd__(self, other: Any) -> Any:
        return self._written(operator.iadd, other)

    def __isub__(self, other: Any) -> Any:
        return self._written(operator.isub, other)

    def __imul__(self, other: Any) -> Any:
        return self._written(operator.imul, other)

    def __itruediv__(self, other: Any) -> Any:
        return self._written(operator.itruediv, other)

    def _written(self, write: Callable[[Any, Any], Any], other: Any) -> Any:
        """Notes that a tensor is overwritten; fx would take `+=` for a sum, which other names of the tensor miss."""
        target = write if isinstance(self.value, Tensor) else OUT_OF_PLACE[write]
        return self.tracer.create_proxy("call_function", target, (self, other), {})

    def __len__(self) -> int:
        return len(self.value)

    def __index__(self) -> int:
        return int(self.value.__index__())

    def __int__(self) -> int:
        return int(self.value)

    def __float__(self) -> float:
        return float(self.value)


class _ShapedAttribute(ShapedProxy):
    """An attribute of a proxy: a node of its own only once it is used."""

    def __init__(self, root: ShapedProxy, name: str) -> None:
        self.root, self.attr, self.tracer = root, name, root.tracer
        self._node: fx.Node | None = None

    @property
    def node(self) -> fx.Node:  # type: ignore[override]  # fx's own attribute proxies do the same
        if self._node is None:
            self._node = self.tracer.create_proxy("call_function", getattr, (self.root, self.attr), {}).node
        return self._node

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.attr == "size" and self.tracer.has_static_sizes:
            sizes = self.tracer.sizes_of(self.root)
            return sizes[args[0]] if args else sizes
        return self.tracer.create_proxy("call_method", self.attr, (self.root, *args), kwargs)
