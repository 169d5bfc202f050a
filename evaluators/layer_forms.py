"""What the layers of a compressed network are, worked out from the choices alone: no network is built."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..spaces import Choice, SearchSpace
from ..spaces.fold_clusters import fold_clusters
from ..spaces.moot_rules import STORAGE
from ..spaces.network import Layer
from ..spaces.operator_shapes import N_BESIDE, operator_parts, parse_operator, positions_of
from ..spaces.quantize import bits_per_weight
from ..spaces.rank_schemes import factor_stages, parse_rank
from ..spaces.site import Site
from ..spaces.sparsify import executed_density
from .stored_form import AS_EXECUTED, StoredForm, stored_form

FLOAT = 32
"""The bits of what nothing was chosen for."""
MERGED = "merged"
PLAIN = "plain"
_BIAS_BYTES: Mapping[Choice, int] = {8: 12, "bf16": 2, "fp16": 2}
"""A bias in the type of its layer, and in int8 its scale and its zero point; 4 bytes in all other forms."""
_SCALE_BYTES: Mapping[Choice, int] = {8: 5}
"""Per output channel of every operator the scale of its weights, in float, and their zero point, in int8."""
_NUMBER_BYTES = 4
"""A bias, or a scale of a channel, as a packed file holds it; the place of a row among sparse weights."""
_SPARSE_BYTES = 8
"""A weight in float and its column, in 32 bits."""


@dataclass(frozen=True, slots=True)
class Part:
    """One operator that multiplies: a layer, or one factor of it.

    Attributes:
        name: Its name in the compressed network.
        bits: The choice of its weights' bits.
        kernel_size: One number per spatial dimension; none for a linear layer.
        stride: Likewise.
        groups: As many as input channels where it is depthwise.
        n_positions: Output positions per sample.
        inner: Input channels.
        outer: Output channels.
        density: Share of the weights that is executed; below 1 where the others are zero and skipped.
    """

    name: str
    bits: Choice
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    groups: int
    n_positions: int
    inner: int
    outer: int
    density: float = 1.0

    @property
    def weights(self) -> int:
        """Number of weights."""
        return self.inner * self.outer // self.groups * math.prod(self.kernel_size)

    @property
    def weight_bytes(self) -> float:
        """The weights in their bits; where some are skipped, the others with their places."""
        if self.density == 1:
            return self.weights * bits_per_weight(self.bits) / 8
        return self.weights * self.density * _SPARSE_BYTES + (self.outer + 1) * _NUMBER_BYTES


@dataclass(frozen=True, slots=True)
class Form:
    """What a layer is under some choices.

    Attributes:
        layer: Name in the original network; a merged layer has the name of its first.
        kind: `plain`, `merged`, its operator, or the scheme of its rank.
        bits: The choice of its weights' bits.
        parts: The operators that compute it, in order.
        n_beside: How many of the last of them give its outputs, side by side.
        stored: How its weights are stored, where that is chosen apart from what a runtime executes.
    """

    layer: str
    kind: str
    bits: Choice
    parts: tuple[Part, ...]
    stored: StoredForm = AS_EXECUTED
    n_beside: int = 1

    @property
    def weights(self) -> int:
        """Number of weights."""
        return sum(part.weights for part in self.parts)

    @property
    def macs(self) -> int:
        """Multiply-accumulates per sample."""
        return sum(part.weights * part.n_positions for part in self.parts)

    @property
    def out_channels(self) -> int:
        """Output channels."""
        return sum(part.outer for part in self.parts[-self.n_beside :])

    @property
    def activations(self) -> int:
        """Numbers in its output, per sample."""
        return self.out_channels * self.parts[-1].n_positions

    @property
    def weight_bytes(self) -> float:
        """Weights in their bits, per output channel a bias, and what belongs to the scales of both."""
        scales = sum(part.outer for part in self.parts) * _SCALE_BYTES.get(self.bits, 0)
        biases = self.out_channels * _BIAS_BYTES.get(self.bits, 4)
        return sum(part.weight_bytes for part in self.parts) + biases + scales

    @property
    def stored_bytes(self) -> float:
        """About what a packed file holds of it: positions and values of weights, a number or two per channel."""
        numbers = sum(part.outer for part in self.parts) + self.out_channels
        return self.weights * self.stored.bits_per_weight(self.bits) / 8 + _NUMBER_BYTES * numbers


class LayerForms:
    """Works out the layers of any configuration of a space."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._folds_near = _folds_by_layer(space)
        self._cache: dict[tuple[object, ...], Form] = {}

    def of(self, choices: Mapping[str, Choice]) -> list[Form]:
        """The layers of the compressed network, in order."""
        return [form for layer in self._space.widths if (form := self.form(layer, choices)) is not None]

    def form(self, layer: str, choices: Mapping[str, Choice]) -> Form | None:
        """One layer; None where a fold has taken it in."""
        fold = self._fold_over(layer, choices)
        span = (layer,) if fold is None else fold.touched(choices[fold.name])
        if layer != span[0]:
            return None
        inner, outer = self._space.widths[layer].under(choices)
        if len(span) > 1:
            outer = self._space.widths[span[-1]].under(choices)[1]
        operator, rank = ("full", "full") if fold is not None else _replacement(layer, choices)
        bits = choices.get(f"bits/{layer}", FLOAT)
        stored = stored_form(layer, choices) if fold is None else AS_EXECUTED
        key = (span, inner, outer, operator, rank, bits, stored)
        if key not in self._cache:
            layers = [self._space.widths[name].layer for name in span]
            self._cache[key] = self._stored(_form(layers, inner, outer, operator, rank, bits), stored)
        return self._cache[key]

    def bits(self, layer: str, choices: Mapping[str, Choice]) -> Choice | None:
        """What one layer computes in; None where a fold has taken it in."""
        fold = self._fold_over(layer, choices)
        is_taken = fold is not None and layer != fold.touched(choices[fold.name])[0]
        return None if is_taken else choices.get(f"bits/{layer}", FLOAT)

    def layers_under(self, site: Site) -> tuple[str, ...]:
        """The layers that depend on a site, and those in front of a layer whose precision or place does."""
        widths = self._space.widths
        touched = set(site.layers)
        touched |= {
            name for name in widths if site.name in {widths[name].output_site, *(i[0] for i in widths[name].inputs)}
        }
        near = {fold for layer in touched for fold in self._folds_near.get(layer, ())}
        # Of folds that overlap one counts: switching it may bring another into force.
        touched |= {layer for fold in near for layer in (fold.layers if site.technique == "fold" else fold.layers[:1])}
        if site.technique not in ("prune", *STORAGE):
            touched |= {name for layer in touched for name in self._in_front_of(layer)}
        return tuple(name for name in widths if name in touched)

    def _stored(self, form: Form, stored: StoredForm) -> Form:
        """The same with its storage; where the hardware skips zeros, its parts have the density that it executes."""
        layer, density = self._space.widths[form.layer].layer, self._space.sparse_density
        if form.bits != 32 or layer.kind != "linear" or layer.n_calls > 1:
            return form if stored == form.stored else replace(form, stored=stored)
        densities = [executed_density(part.weights, stored.sparsity, density) for part in form.parts]
        parts = (replace(part, density=own) for part, own in zip(form.parts, densities, strict=True))
        return replace(form, parts=tuple(parts), stored=stored)

    def _in_front_of(self, layer: str) -> set[str]:
        """The layers that may be the one before a layer, under some folds."""
        order = list(self._space.widths)
        before = order[max(0, order.index(layer) - 1)]
        return {before, *(fold.layers[0] for fold in self._folds_near.get(before, ()))}

    def _fold_over(self, layer: str, choices: Mapping[str, Choice]) -> Site | None:
        """The fold that merges a layer with others; of folds that overlap the first counts."""
        if layer not in self._folds_near:
            return None
        taken: set[str] = set()
        for fold in self._folds_near[layer]:
            span = fold.touched(choices.get(fold.name, fold.neutral))
            if not taken.isdisjoint(span):
                continue
            if layer in span:
                return fold
            taken.update(span)
        return None


def _replacement(layer: str, choices: Mapping[str, Choice]) -> tuple[str, str]:
    """The operator and the rank of a layer; beside another operator a rank has no effect."""
    operator = str(choices.get(f"operator/{layer}", "full"))
    return operator, str(choices.get(f"rank/{layer}", "full")) if operator == "full" else "full"


def _form(layers: list[Layer], inner: int, outer: int, operator: str, rank: str, bits: Choice) -> Form:
    if len(layers) > 1:
        return Form(layers[0].name, MERGED, bits, (_merged(layers, inner, outer, bits),))
    (layer,) = layers
    if operator != "full":
        kind, _ = parse_operator(operator)
        return Form(layer.name, kind, bits, _operator(layer, inner, outer, operator, bits), n_beside=N_BESIDE[kind])
    if rank == "full":
        groups = inner if layer.is_depthwise else layer.groups
        return Form(layer.name, PLAIN, bits, (_part(layer, bits, inner, outer, groups),))
    return Form(layer.name, parse_rank(rank)[0], bits, _factors(layer, inner, outer, rank, bits))


def _part(layer: Layer, bits: Choice, inner: int, outer: int, groups: int) -> Part:
    return Part(layer.name, bits, layer.kernel_size, layer.stride, groups, layer.n_positions, inner, outer)


def _merged(layers: list[Layer], inner: int, outer: int, bits: Choice) -> Part:
    """K = k1 + s1 (k2 - 1); an absorbed projection, last among the layers, is 1 x 1 and adds nothing to it."""
    kernel, stride = list(layers[0].kernel_size), list(layers[0].stride)
    for each in layers[1:]:
        kernel = [k + s * (k2 - 1) for k, s, k2 in zip(kernel, stride, each.kernel_size, strict=True)]
        stride = [s * s2 for s, s2 in zip(stride, each.stride, strict=True)]
    # Depthwise layers keep one channel per group, however many are pruned.
    groups = min(inner, math.gcd(*(layer.groups for layer in layers)))
    positions = layers[-1].n_positions
    return Part(layers[0].name, bits, tuple(kernel), tuple(stride), groups, positions, inner, outer)


def _factors(layer: Layer, inner: int, outer: int, rank: str, bits: Choice) -> tuple[Part, ...]:
    """The factors; those in front of the one with the stride run at as many times the positions."""
    parts, strides = [], list(layer.stride)
    for position, stage in enumerate(factor_stages(rank, inner, outer, len(layer.kernel_size))):
        for axis in stage.axes:
            strides[axis] = 1
        kernel = tuple(size if axis in stage.axes else 1 for axis, size in enumerate(layer.kernel_size))
        stride = tuple(size if axis in stage.axes else 1 for axis, size in enumerate(layer.stride))
        positions = layer.n_positions * math.prod(strides)
        ends = (stage.in_channels, stage.out_channels)
        parts.append(Part(f"{layer.name}.{position}", bits, kernel, stride, stage.groups, positions, *ends))
    return tuple(parts)


def _operator(layer: Layer, inner: int, outer: int, operator: str, bits: Choice) -> tuple[Part, ...]:
    """The layers of an operator; a single one keeps the name of the layer whose place it takes."""
    shapes, parts = operator_parts(operator, inner, outer), []
    for position, shape in enumerate(shapes):
        name = f"{layer.name}.{position}" if len(shapes) > 1 else layer.name
        kernel = layer.kernel_size if shape.has_kernel else (1,) * len(layer.kernel_size)
        stride = layer.stride if shape.has_stride else (1,) * len(layer.stride)
        positions = positions_of(shape, operator, layer.stride, layer.n_positions)
        parts.append(Part(name, bits, kernel, stride, shape.groups, positions, shape.in_channels, shape.out_channels))
    return tuple(parts)


def _folds_by_layer(space: SearchSpace) -> dict[str, tuple[Site, ...]]:
    """For each layer the folds that may merge it, and all that overlap with these, in the order of the network."""
    return {layer: tuple(folds) for folds in fold_clusters(space) for fold in folds for layer in fold.layers}
