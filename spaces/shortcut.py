"""Finds shortcuts around a segment that its merged layer can absorb."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import fx

from .chain import is_mergeable, is_norm_of, obstacle, only_reader, without_dropout
from .geometry import Geometry
from .graph import is_addition, module_of, only_user


@dataclass(frozen=True, slots=True)
class Shortcut:
    """layer → [BN] → + other, where the other operand can be absorbed into the layer's kernel.

    Attributes:
        norm: BatchNorm between the layer and the addition.
        addition: The sum, which the merged layer then produces.
        projection: A 1 x 1 layer that reads the layer's input; None for the input itself.
        projection_norm: BatchNorm behind the projection.
    """

    norm: fx.Node | None
    addition: fx.Node
    projection: fx.Node | None = None
    projection_norm: fx.Node | None = None


def find_shortcut(module: fx.GraphModule, last: fx.Node, source: fx.Node, merged: Geometry) -> Shortcut | None:
    """The shortcut from `source` to the addition behind `last`, where a merged layer can absorb it.

    Args:
        module: The network.
        last: The layer in front of the addition.
        source: What the merged layer reads.
        merged: The sizes of the merged layer.
    """
    reader = only_reader(module, last)
    norm = reader if reader is not None and is_norm_of(module, last, reader) else None
    addition = only_reader(module, norm) if norm is not None else reader
    if addition is None or not is_addition(addition) or not merged.is_centred:
        return None
    other = next(node for node in addition.all_input_nodes if without_dropout(module, node) is not (norm or last))
    if other is source:
        # A single channel would be spread over all of them.
        is_alike = merged.in_channels == merged.out_channels and set(merged.stride) <= {1}
        return Shortcut(norm, addition) if is_alike else None
    return _find_projection(module, norm, addition, other, source, merged)


def _find_projection(
    module: fx.GraphModule, norm: fx.Node | None, addition: fx.Node, other: fx.Node, source: fx.Node, merged: Geometry
) -> Shortcut | None:
    point, point_norm = other, None
    if other.all_input_nodes and is_norm_of(module, other.all_input_nodes[0], other):
        point, point_norm = other.all_input_nodes[0], other
    projection = module_of(module, point)
    if not is_mergeable(projection) or obstacle(module, point) is not None or point.all_input_nodes != [source]:
        return None
    if only_user(point) is not (point_norm or addition) or only_user(other) is not addition:
        return None
    ones, zeros = (1,) * len(merged.kernel), (0,) * len(merged.kernel)
    expected = Geometry(merged.in_channels, merged.out_channels, ones, merged.stride, zeros, merged.dilation)
    sizes = replace(Geometry.of(projection), dilation=merged.dilation)  # which a single tap does not have
    return Shortcut(norm, addition, point, point_norm) if sizes == expected and merged.groups == 1 else None
