"""Which tensors of a network are held in few bits, and with which scales: plain data between techniques and runtimes.

Tensors are named after the layer that owns them, `<layer>` being the module's dotted name in the finished network:

- ``<layer>.weight``: signed, symmetric, one scale per output channel (axis 0);
- ``<layer>.input``: what the layer reads, unsigned, one scale;
- ``<layer>.output``: what it hands on, unsigned, one scale. A ReLU or ReLU6 that directly follows and is the only
  consumer belongs to the layer: the output is taken after it;
- ``<layer>.merged``: optional; the sum of a residual addition that reads the layer's output, after its activation. It
  lets the addition, and a global pooling after it, run in integers where no planned layer reads the sum.

Source of the affine scheme: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", equation 1: ``real = scale * (integer - zero_point)``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from .errors import ExportError

ROLES = ("weight", "input", "output", "merged")
_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class TensorQuantization:
    """The affine quantisation of one tensor: ``real = scale * (integer - zero_point)``.

    Attributes:
        bits: Width of the integers, 2 to 8.
        scale: One positive number, or one per channel of `axis`.
        zero_point: As many integers as scales, inside the integers' range.
        axis: The channel axis of per-channel scales, None for a single scale.
        is_signed: Whether the integers are signed, -2^(bits-1) .. 2^(bits-1)-1, or start at 0.

    Raises:
        ExportError: A value breaks one of these rules.
    """

    bits: int
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None
    is_signed: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", tuple(float(value) for value in self.scale))
        object.__setattr__(self, "zero_point", tuple(int(value) for value in self.zero_point))
        if not 2 <= self.bits <= 8:
            raise ExportError(f"bits must be from 2 to 8, got {self.bits}: leave a 32-bit tensor out of the plan")
        if not self.scale or not all(math.isfinite(value) and value > 0 for value in self.scale):
            raise ExportError(
                f"every scale must be finite and above 0, got {_shown(self.scale)}: calibrate on real data"
            )
        if len(self.zero_point) != len(self.scale):
            raise ExportError(
                f"zero_point must have one value per scale ({len(self.scale)}), got {len(self.zero_point)}: repeat it"
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
    """The quantised tensors of a network; what is not named stays in float32.

    Attributes:
        tensors: Tensor name (see the module's docstring) to its quantisation, kept sorted by name.

    Raises:
        ExportError: A name does not end in one of `ROLES`.
    """

    tensors: Mapping[str, TensorQuantization] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.tensors:
            layer, _, role = name.rpartition(".")
            if not layer or role not in ROLES:
                raise ExportError(
                    f"a tensor of a plan must be named <layer>.<{'|'.join(ROLES)}>, got {name!r}: rename it"
                )
        object.__setattr__(self, "tensors", dict(sorted(self.tensors.items())))

    @classmethod
    def none(cls) -> PrecisionPlan:
        """Gives the plan that leaves everything in float32."""
        return cls()

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers with an 8-bit weight, sorted: those that must execute in integers."""
        return tuple(
            name.removesuffix(".weight")
            for name, tensor in self.tensors.items()
            if name.endswith(".weight") and tensor.bits == 8
        )

    def to_json(self) -> str:
        """Gives the plan as canonical JSON text, the inverse of `from_json`."""
        tensors = {name: asdict(tensor) for name, tensor in self.tensors.items()}
        return json.dumps({"schema": _SCHEMA, "tensors": tensors}, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> PrecisionPlan:
        """Reads a plan from JSON text.

        Raises:
            ExportError: The text is no plan of this schema.
        """
        try:
            content = json.loads(text)
            if content["schema"] != _SCHEMA:
                raise ExportError(
                    f"a precision plan must have schema {_SCHEMA}, got {content['schema']!r}: write it again"
                )
            return cls({name: TensorQuantization(**tensor) for name, tensor in content["tensors"].items()})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ExportError(
                f"a precision plan must be the JSON of to_json, got text with {reason}: write it again"
            ) from error


def _shown(values: tuple[float, ...] | tuple[int, ...]) -> str:
    """Shortens a long tuple, so that a message stays one readable line."""
    return str(values) if len(values) <= 4 else f"({', '.join(map(str, values[:3]))}, ... {len(values)} values)"
