"""What each layer costs in each form: times from the runtime's operator profiles, bytes from the shapes.

The tables screen candidates and seed the search; they are never reported as a measurement. Every measured candidate's
profile is added, so they grow more exact where the search looks.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..hardware_profiles.runtimes import OperatorTime
from ..spaces import Choice, SearchSpace
from ..spaces.factorize import is_part_of
from ..spaces.quantize import bits_per_weight
from ..spaces.rank_schemes import factor_macs, factor_weights, parse_rank
from ..spaces.site import Site

FIXED_SHARE = 0.3
"""Share of a layer's time that does not shrink with its MACs, assumed while only one width of it was seen."""
MIN_OPERATOR_US = 0.3
MERGED = "merged"
PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Form:
    """What a layer is under some choices.

    Attributes:
        layer: Name in the original network; a merged layer has the name of its first.
        kind: `plain`, `merged`, or the scheme of its rank.
        bits: The choice of its weights' bits.
        weights: Number of weights.
        macs: Multiply-accumulates per sample.
        out_channels: Output channels.
        shape: Everything the time depends on within one kind, for exact look-ups.
    """

    layer: str
    kind: str
    bits: Choice
    weights: int
    macs: int
    out_channels: int
    shape: tuple[int, ...]


class CostTables:
    """Predicts latency and size of any configuration of a space from what was measured so far."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._folds_near = _folds_by_layer(space)
        self._times: dict[tuple[str, str, Choice], dict[tuple[int, ...], list[tuple[int, float]]]] = {}
        self._pooled: dict[tuple[str, Choice], list[tuple[int, float]]] = defaultdict(list)
        self._others: list[tuple[int, float]] = []
        self._size_extras: list[tuple[int, float]] = []
        self._fixed = (0.0, 0.0)
        self._per_layer = (0.0, 0.0)
        self._cache: dict[Form, float] = {}

    def forms(self, choices: Mapping[str, Choice]) -> list[Form]:
        """The layers of the compressed network, in order."""
        return [form for layer in self._space.widths if (form := self._form(layer, choices)) is not None]

    def observe(
        self,
        choices: Mapping[str, Choice],
        operator_times: Sequence[OperatorTime],
        latency_ms: float,
        size_bytes: float,
    ) -> None:
        """Adds one measured candidate.

        Args:
            choices: Its configuration.
            operator_times: The runtime's profile of it.
            latency_ms: Its measured latency.
            size_bytes: Its artefact's size.
        """
        forms = self.forms(choices)
        total = sum(time.microseconds for time in operator_times)
        # Profiling slows every operator by about the same; the measured latency tells by how much.
        slowdown = (total - 1000 * latency_ms) / max(1, len(operator_times))
        others = 0.0
        by_layer: dict[str, float] = defaultdict(float)
        for time in operator_times:
            microseconds = max(MIN_OPERATOR_US, time.microseconds - slowdown)
            owner = next((form.layer for form in forms if time.layer and is_part_of(time.layer, form.layer)), None)
            if owner is None:
                others += microseconds
            else:
                by_layer[owner] += microseconds
        for form in forms:
            if form.layer in by_layer:
                shapes = self._times.setdefault((form.layer, form.kind, form.bits), {})
                shapes.setdefault(form.shape, []).append((form.macs, by_layer[form.layer]))
                self._pooled[form.kind, form.bits].append((form.macs, by_layer[form.layer]))
        self._others.append((len(forms), others))
        self._size_extras.append((len(forms), size_bytes - _weight_bytes(forms)))
        self._cache.clear()
        (fixed_us, layer_us), (fixed_bytes, layer_bytes) = map(_offset_and_slope, (self._others, self._size_extras))
        self._fixed, self._per_layer = (fixed_us, fixed_bytes), (layer_us, layer_bytes)

    def latency_ms(self, choices: Mapping[str, Choice]) -> float:
        """Predicted latency of a configuration."""
        return self._fixed[0] / 1000 + sum(self.layer_cost(layer, choices)[0] for layer in self._space.widths)

    def size_bytes(self, choices: Mapping[str, Choice]) -> float:
        """Predicted size of a configuration's artefact: the weights exactly, the graph around them per layer."""
        return self._fixed[1] + sum(self.layer_cost(layer, choices)[1] for layer in self._space.widths)

    def layer_cost(self, layer: str, choices: Mapping[str, Choice]) -> tuple[float, float]:
        """Predicted milliseconds and bytes of one layer, nothing where a fold has taken it in."""
        form = self._form(layer, choices)
        if form is None:
            return 0.0, 0.0
        return (self._time(form) + self._per_layer[0]) / 1000, _weight_bytes([form]) + self._per_layer[1]

    def layers_under(self, site: Site) -> tuple[str, ...]:
        """The layers whose cost depends on a site."""
        widths = self._space.widths
        touched = set(site.layers)
        touched |= {
            name for name in widths if site.name in {widths[name].output_site, *(i[0] for i in widths[name].inputs)}
        }
        near = {fold for layer in touched for fold in self._folds_near.get(layer, ())}
        # Of folds that overlap one counts: switching it may bring another into force.
        touched |= {layer for fold in near for layer in (fold.layers if site.technique == "fold" else fold.layers[:1])}
        return tuple(name for name in widths if name in touched)

    def _form(self, layer: str, choices: Mapping[str, Choice]) -> Form | None:
        fold = self._fold_over(layer, choices)
        bits = choices.get(f"bits/{layer}", 32)
        if fold is not None:
            return self._merged_form(fold, bits, choices) if layer == fold.layer else None
        widths = self._space.widths[layer]
        inner, outer = widths.under(choices)
        kernel = widths.layer.kernel_size
        rank = str(choices.get(f"rank/{layer}", "full"))
        if rank == "full":
            weights = widths.weights_under(choices)
            return Form(layer, PLAIN, bits, weights, weights * widths.layer.n_positions, outer, (inner, outer))
        scheme, ranks = parse_rank(rank)
        weights = factor_weights(rank, inner, outer, kernel)
        macs = factor_macs(rank, inner, outer, kernel, widths.layer.stride, widths.layer.n_positions)
        return Form(layer, scheme, bits, weights, macs, outer, (inner, outer, *ranks))

    def _fold_over(self, layer: str, choices: Mapping[str, Choice]) -> Site | None:
        """The fold that merges a layer with others; of folds that overlap the first counts."""
        taken: set[str] = set()
        for fold in self._folds_near.get(layer, ()):
            span = fold.touched(choices.get(fold.name, fold.neutral))
            if not taken.isdisjoint(span):
                continue
            if layer in span:
                return fold
            taken.update(span)
        return None

    def _merged_form(self, fold: Site, bits: Choice, choices: Mapping[str, Choice]) -> Form:
        """K = k1 + s1 (k2 - 1); an absorbed projection, last among the layers, is 1 x 1 and adds nothing to it."""
        layers = [self._space.widths[name] for name in fold.touched(choices[fold.name])]
        inner, outer = layers[0].under(choices)[0], layers[-1].under(choices)[1]
        kernel = list(layers[0].layer.kernel_size)
        stride = list(layers[0].layer.stride)
        for each in (widths.layer for widths in layers[1:]):
            kernel = [k + s * (k2 - 1) for k, s, k2 in zip(kernel, stride, each.kernel_size, strict=True)]
            stride = [s * s2 for s, s2 in zip(stride, each.stride, strict=True)]
        # Depthwise layers keep one channel per group, however many are pruned.
        groups = min(inner, math.gcd(*(widths.layer.groups for widths in layers)))
        weights = inner * outer * math.prod(kernel) // groups
        macs = weights * layers[-1].layer.n_positions
        return Form(fold.layer, MERGED, bits, weights, macs, outer, (inner, outer, len(layers)))

    def _time(self, form: Form) -> float:
        """Microseconds of one layer: as seen at this shape, else on a line through what was seen of its kind."""
        if form not in self._cache:
            self._cache[form] = self._estimate(form)
        return self._cache[form]

    def _estimate(self, form: Form) -> float:
        shapes = self._times.get((form.layer, form.kind, form.bits), {})
        if form.shape in shapes:
            return statistics.median(us for _, us in shapes[form.shape])
        seen = [point for points in shapes.values() for point in points]
        if seen:
            return _line(seen, form.macs)
        pooled = self._pooled.get((form.kind, form.bits)) or self._pooled.get((PLAIN, form.bits))
        pooled = pooled or [point for points in self._pooled.values() for point in points]
        return _line(pooled, form.macs) if pooled else float(form.macs)


def _folds_by_layer(space: SearchSpace) -> dict[str, tuple[Site, ...]]:
    """For each layer the folds that may merge it, and all that overlap with these, in the order of the network."""
    clusters: list[tuple[set[str], list[Site]]] = []
    for site in space.sites:
        if site.technique == "fold":
            met = [cluster for cluster in clusters if not cluster[0].isdisjoint(site.layers)]
            clusters = [cluster for cluster in clusters if cluster not in met]
            layers = set(site.layers).union(*(cluster[0] for cluster in met))
            clusters.append((layers, [*(fold for cluster in met for fold in cluster[1]), site]))
    return {layer: tuple(folds) for layers, folds in clusters for layer in layers}


def _line(points: list[tuple[int, float]], x: float) -> float:
    """Value at x of the line through the points; through one width only, part of the time is taken as fixed."""
    mean_x, mean_y = statistics.fmean(p[0] for p in points), statistics.fmean(p[1] for p in points)
    if all(p[0] == points[0][0] for p in points):
        return mean_y * (FIXED_SHARE + (1 - FIXED_SHARE) * x / max(mean_x, 1e-9))
    offset, slope = _offset_and_slope(points)
    return offset + slope * x


def _offset_and_slope(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """The least-squares line through the points, with neither offset nor slope below zero."""
    mean_x, mean_y = statistics.fmean(p[0] for p in points), statistics.fmean(p[1] for p in points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if spread == 0:
        return max(0.0, mean_y), 0.0
    slope = max(0.0, sum((x - mean_x) * (y - mean_y) for x, y in points) / spread)
    offset = mean_y - slope * mean_x
    return (offset, slope) if offset >= 0 else (0.0, max(0.0, mean_y / mean_x))


def _weight_bytes(forms: Iterable[Form]) -> float:
    """Weights in their bits, and per output channel a bias, and what belongs to its scales."""
    return sum(
        form.weights * bits_per_weight(form.bits) / 8 + form.out_channels * (12 if form.bits == 8 else 4)
        for form in forms
    )
