"""A precision plan in a `.pare` file: short rows of facts, and its many scales as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..hardware_profiles.errors import PackingError
from ..hardware_profiles.precision import PrecisionPlan, TensorQuantization
from ..packing import StoredWeight

SCALES = "scales/"
"""Before a planned tensor's name: its scales, where they are not those of its codes."""
Tensors = Mapping[str, Tensor | StoredWeight]


def pack_plan(plan: PrecisionPlan, tensors: Tensors) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The plan as JSON, and the scales that go beside it.

    A row is bits, scale (null where there are several), zero point (of several scales one for all), axis, whether the
    integers are signed, and the size of a block.

    Args:
        plan: The plan.
        tensors: What is packed of the network.

    Returns:
        The plan, and tensors by their names in the file.

    Raises:
        PackingError: A tensor has different zero points for different scales.
    """
    rows, scales = {}, {}
    for name, each in plan.tensors.items():
        if len(set(each.zero_point)) > 1:
            raise PackingError(
                f"a tensor must have one zero point, got several for {name!r}: make its scales symmetric"
            )
        has_one = len(each.scale) == 1
        if not has_one and _scale_of(tensors.get(name)) != each.scale:
            exact = torch.tensor(each.scale, dtype=torch.float64)
            scales[f"{SCALES}{name}"] = exact.float() if torch.equal(exact.float().double(), exact) else exact
        scale = each.scale[0] if has_one else None
        rows[name] = [each.bits, scale, each.zero_point[0], each.axis, each.is_signed, each.block_size]
    return {"tensors": rows, "halves": dict(plan.halves), "sparse": plan.sparse}, scales


def unpack_plan(packed: Mapping[str, Any], tensors: Tensors) -> tuple[PrecisionPlan, dict[str, Any]]:
    """The inverse of `pack_plan`.

    Args:
        packed: The plan as JSON.
        tensors: All that the file holds.

    Returns:
        The plan, and the tensors that are not its scales.

    Raises:
        ParefrontError: The plan breaks a rule.
        KeyError, TypeError, ValueError, AttributeError: It is no such JSON.
    """
    found = {}
    for name, (bits, scale, zero_point, axis, is_signed, block_size) in packed["tensors"].items():
        scales = (scale,) if scale is not None else _stored_scales(name, tensors)
        zero_points = (zero_point,) * (1 if block_size is not None else len(scales))
        found[name] = TensorQuantization(bits, scales, zero_points, axis, is_signed, block_size)
    rest = {name: value for name, value in tensors.items() if not name.startswith(SCALES)}
    # Files of earlier versions have no sparse layers.
    return PrecisionPlan(found, dict(packed["halves"]), tuple(packed.get("sparse", ()))), rest


def _stored_scales(name: str, tensors: Tensors) -> tuple[float, ...]:
    beside = tensors.get(f"{SCALES}{name}")
    scales = tuple(beside.tolist()) if isinstance(beside, Tensor) else _scale_of(tensors[name])
    if scales is None:
        raise PackingError(f"the scales of {name!r} must be in the file, but are not: pack it anew")
    return scales


def _scale_of(value: Tensor | StoredWeight | None) -> tuple[float, ...] | None:
    """The scales of codes."""
    if value is None or isinstance(value, Tensor) or value.scale is None:
        return None
    return tuple(value.scale.tolist())
