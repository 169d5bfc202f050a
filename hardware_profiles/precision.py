"""Which layers and tensors of a network are held in few bits, and how: plain data between techniques and runtimes.

A layer in half precision is named by itself: bf16 and fp16 need no scales. Tensors in integers are named after what
makes them in the finished network:

- ``<layer>.weight``: the weight of the layer with that dotted module name. In int8: signed, symmetric, one scale per
  output channel (axis 0). Weight-only: likewise, but one scale per block of inputs of each output channel;
- ``<node>.value``: what the graph's node with that name hands on, unsigned, one scale. An input of the network has the
  name of its placeholder. Where a ReLU or ReLU6 directly follows a layer and alone reads it, the layer hands on what
  the activation does: it is the activation's value that is quantised.

Every tensor has one name, so it has one quantisation, however many layers read it.

Source of the affine scheme: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", equation 1: ``real = scale * (integer - zero_point)``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias, get_args

from .errors import ExportError

ROLES = ("weight", "value")
Half: TypeAlias = Literal["bf16", "fp16"]
"""bf16 has the range of float32 and 8 significant bits; fp16 has 11, and ends at 65504."""
HALVES: tuple[Half, ...] = get_args(Half)
_SCHEMA = 4
# The second had no halves, the third no sparse layers.
_READ_SCHEMAS = (2, 3, _SCHEMA)


@dataclass(frozen=True, slots=True)
class TensorQuantization:
    """The affine quantisation of one tensor: ``real = scale * (integer - zero_point)``.

    Attributes:
        bits: Width of the integers, 2 to 8.
        scale: One positive number, or one per channel of `axis`.
        zero_point: As many integers as scales, inside the integers' range; a single one for a weight in blocks.
        axis: The channel axis of per-channel scales, None for a single scale.
        is_signed: Whether the integers are signed, -2^(bits-1) .. 2^(bits-1)-1, or start at 0.
        block_size: Inputs that share a scale within a channel, a power of two from 16 on; the scales are then those of
            a matrix (channels, blocks), row by row. None where a scale holds for a whole channel or tensor. A weight in
            blocks is only stored so: the layer computes with float activations (weight-only quantisation).

    Raises:
        ExportError: A value breaks one of these rules.
    """

    bits: int
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None
    is_signed: bool
    block_size: int | None = None

    def __post_init__(self) -> None:
        # By `map`, without a generator's cost per value: the weight of one layer may have 100,000 blocks.
        object.__setattr__(self, "scale", tuple(map(float, self.scale)))
        object.__setattr__(self, "zero_point", tuple(map(int, self.zero_point)))
        if not 2 <= self.bits <= 8:
            raise ExportError(f"bits must be from 2 to 8, got {self.bits}: leave a 32-bit tensor out of the plan")
        if not self.scale or not all(map(math.isfinite, self.scale)) or min(self.scale) <= 0:
            raise ExportError(
                f"every scale must be finite and above 0, got {_shown(self.scale)}: calibrate on real data"
            )
        size = self.block_size
        if size is not None and (size < 16 or size & (size - 1) or self.axis is None):
            raise ExportError(
                f"block_size must be a power of two from 16 on, with an axis, got {size} and axis {self.axis}: use 32"
            )
        if len(self.zero_point) != (len(self.scale) if size is None else 1):
            raise ExportError(
                f"zero_point must have one value per scale ({len(self.scale)}; in blocks one in all), got "
                f"{len(self.zero_point)}: give as many"
            )
        if self.axis is None and len(self.scale) != 1:
            raise ExportError(f"without an axis there must be one scale, got {len(self.scale)}: set the axis")
        if not all(self.qmin <= value <= self.qmax for value in self.zero_point):
            raise ExportError(
                f"zero_point must lie in {self.qmin}..{self.qmax}, got {_shown(self.zero_point)}: clamp it"
            )

    @property
    def qmin(self) -> int:
        """The smallest integer."""
        return -(1 << (self.bits - 1)) if self.is_signed else 0

    @property
    def qmax(self) -> int:
        """The largest integer."""
        return (1 << (self.bits - 1)) - 1 if self.is_signed else (1 << self.bits) - 1


@dataclass(frozen=True, slots=True)
class PrecisionPlan:
    """The quantised tensors and the half-precision layers of a network; what is not named stays in float32.

    Also the linear layers in float32 that runtimes may execute without the weights that are zero, if they can.

    Attributes:
        tensors: Tensor name (see the module's docstring) to its quantisation, kept sorted by name.
        halves: Layer name to the type that the layer computes in, kept sorted by name.
        sparse: Names of layers of few non-zero weights, kept sorted.

    Raises:
        ExportError: A tensor's name does not end in one of `ROLES`, a type is none of `HALVES`, a layer has two
            precisions, or a sparse layer is not in float32.
    """

    tensors: Mapping[str, TensorQuantization] = field(default_factory=dict)
    halves: Mapping[str, Half] = field(default_factory=dict)
    sparse: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.tensors:
            layer, _, role = name.rpartition(".")
            if not layer or role not in ROLES:
                raise ExportError(
                    f"a tensor of a plan must be named <layer>.weight or <node>.value, got {name!r}: rename it"
                )
        for layer, half in self.halves.items():
            if half not in HALVES:
                raise ExportError(
                    f"a layer in half precision must be in one of {', '.join(HALVES)}, got {half!r} for {layer!r}: "
                    "use one of these"
                )
            if f"{layer}.weight" in self.tensors:
                raise ExportError(
                    f"a layer must have one precision, got {half} and quantised weights for {layer!r}: leave one out"
                )
        for layer in self.sparse:
            if layer in self.halves or f"{layer}.weight" in self.tensors:
                raise ExportError(f"a sparse layer must be in float32, got few bits for {layer!r}: leave one out")
        object.__setattr__(self, "tensors", dict(sorted(self.tensors.items())))
        object.__setattr__(self, "halves", dict(sorted(self.halves.items())))
        object.__setattr__(self, "sparse", tuple(sorted(self.sparse)))

    @classmethod
    def none(cls) -> PrecisionPlan:
        """Gives the plan that leaves everything in float32."""
        return cls()

    @property
    def is_neutral(self) -> bool:
        """Whether everything stays in float32."""
        return not self.tensors and not self.halves

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that must execute in 8-bit integers, sorted."""
        return tuple(
            name.removesuffix(".weight")
            for name, tensor in self.tensors.items()
            if name.endswith(".weight") and tensor.block_size is None
        )

    @property
    def weight_only_layers(self) -> tuple[str, ...]:
        """The layers whose weight alone is in few bits, in blocks, sorted."""
        return tuple(
            name.removesuffix(".weight")
            for name, tensor in self.tensors.items()
            if name.endswith(".weight") and tensor.block_size is not None
        )

    @property
    def values(self) -> tuple[str, ...]:
        """The graph's nodes whose values are in 8 bits, sorted."""
        return tuple(name.removesuffix(".value") for name in self.tensors if name.endswith(".value"))

    def to_json(self) -> str:
        """Gives the plan as canonical JSON text, the inverse of `from_json`."""
        tensors = {name: asdict(tensor) for name, tensor in self.tensors.items()}
        content = {"schema": _SCHEMA, "tensors": tensors, "halves": dict(self.halves), "sparse": self.sparse}
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> PrecisionPlan:
        """Reads a plan from JSON text, of this schema or one of those before it.

        Raises:
            ExportError: The text is no plan of these schemas.
        """
        try:
            content = json.loads(text)
            schema = content["schema"]
            if schema not in _READ_SCHEMAS:
                raise ExportError(
                    f"a precision plan must have schema {' or '.join(map(str, _READ_SCHEMAS))}, got {schema!r}: "
                    "write it again"
                )
            tensors = {name: TensorQuantization(**tensor) for name, tensor in content["tensors"].items()}
            halves = dict(content["halves"]) if schema > 2 else {}
            return cls(tensors, halves, tuple(content["sparse"]) if schema == _SCHEMA else ())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ExportError(
                f"a precision plan must be the JSON of to_json, got text with {reason}: write it again"
            ) from error


def _shown(values: tuple[float, ...] | tuple[int, ...]) -> str:
    """Shortens a long tuple, so that a message stays one readable line."""
    return str(values) if len(values) <= 4 else f"({', '.join(map(str, values[:3]))}, ... {len(values)} values)"
