"""What each layer costs in each form: times from the runtime's operator profiles, bytes from the shapes.

The tables screen candidates and seed the search; they are never reported as a measurement. Every measured candidate's
profile is added, so they grow more exact where the search looks.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ..hardware_profiles.runtimes import OperatorTime
from ..spaces import Choice, SearchSpace
from ..spaces.factorize import is_part_of
from ..spaces.site import Site
from .layer_forms import Form, LayerForms
from .operator_times import OperatorTimes
from .surroundings import Surroundings

MIN_OPERATOR_US = 0.3
MAX_PROFILER_US = 3.0
"""What a runtime's profiler may add to one operator; what it takes longer beyond that is the machine's clock rate."""


class CostTables:
    """Predicts latency and size of any configuration of a space from what was measured so far."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._forms = LayerForms(space)
        layers = tuple(space.widths)
        self._after = {layer: layers[position + 1 :] for position, layer in enumerate(layers)}
        self._operators = OperatorTimes()
        self._surroundings = Surroundings(self.forms({}))
        self._size_extras: list[tuple[int, float]] = []
        self._graph_bytes = (0.0, 0.0)

    def forms(self, choices: Mapping[str, Choice]) -> list[Form]:
        """The layers of the compressed network, in order."""
        return self._forms.of(choices)

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
        by_layer = _by_layer(operator_times, 1000 * latency_ms)
        others = sum(by_layer.values())
        for form in forms:
            taken = {name: us for name, us in by_layer.items() if name and is_part_of(name, form.layer)}
            others -= sum(taken.values())
            self._add(form, taken)
        self._surroundings.add(forms, others, 1000 * latency_ms)
        self._size_extras.append((len(forms), size_bytes - sum(form.weight_bytes for form in forms)))
        self._graph_bytes = _offset_and_slope(self._size_extras)

    def latency_ms(self, choices: Mapping[str, Choice]) -> float:
        """Predicted latency of a configuration."""
        layers_ms = sum(self.layer_cost(layer, choices)[0] for layer in self._space.widths)
        return max(0.0, self._surroundings.fixed_us / 1000 + layers_ms)

    def size_bytes(self, choices: Mapping[str, Choice]) -> float:
        """Predicted size of a configuration's artefact: the weights exactly, the graph around them per layer."""
        return self._graph_bytes[0] + sum(self.layer_cost(layer, choices)[1] for layer in self._space.widths)

    def layer_cost(self, layer: str, choices: Mapping[str, Choice]) -> tuple[float, float]:
        """Predicted milliseconds and bytes of one layer, nothing where a fold has taken it in."""
        form = self._forms.form(layer, choices)
        if form is None:
            return 0.0, 0.0
        microseconds = self.operator_us(form) + self._surroundings.microseconds(form, self._following(layer, choices))
        return microseconds / 1000, form.weight_bytes + self._graph_bytes[1]

    def operator_us(self, form: Form) -> float:
        """Predicted time of the operators that multiply, without what stands around them, in µs."""
        return sum(self._operators.microseconds(part) for part in form.parts)

    def layers_under(self, site: Site) -> tuple[str, ...]:
        """The layers whose cost depends on a site."""
        return self._forms.layers_under(site)

    def _following(self, layer: str, choices: Mapping[str, Choice]) -> Form | None:
        """The next layer that no fold has taken in."""
        for name in self._after[layer]:
            if (form := self._forms.form(name, choices)) is not None:
                return form
        return None

    def _add(self, form: Form, taken: Mapping[str, float]) -> None:
        """Adds the times of one layer, by the names that its operators have in the runtime's profile."""
        total = sum(taken.values())
        if not total:
            return
        if set(taken) != {part.name for part in form.parts}:
            # The runtime names its operators otherwise: they share the layer's time as the estimates have it.
            estimates = {part.name: self._operators.microseconds(part) for part in form.parts}
            taken = {name: total * estimate / sum(estimates.values()) for name, estimate in estimates.items()}
        for part in form.parts:
            self._operators.add(part, taken[part.name])


def _by_layer(operator_times: Sequence[OperatorTime], latency_us: float) -> dict[str | None, float]:
    """Microseconds by layer, None for all others; their sum is the latency.

    A profiler slows every operator by about the same; what else differs is the speed of the machine at that moment.
    """
    total, n_operators = sum(time.microseconds for time in operator_times), max(1, len(operator_times))
    slowdown = min(MAX_PROFILER_US, max(0.0, (total - latency_us) / n_operators))
    net = [max(MIN_OPERATOR_US, time.microseconds - slowdown) for time in operator_times]
    speed = latency_us / max(MIN_OPERATOR_US, sum(net))
    by_layer: dict[str | None, float] = defaultdict(float)
    for time, microseconds in zip(operator_times, net, strict=True):
        by_layer[time.layer] += microseconds * speed
    return by_layer


def _offset_and_slope(points: Iterable[tuple[int, float]]) -> tuple[float, float]:
    """The least-squares line through the points, with neither offset nor slope below zero."""
    xs, ys = zip(*points, strict=True)
    mean_x, mean_y = statistics.fmean(xs), statistics.fmean(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    if spread == 0:
        return max(0.0, mean_y), 0.0
    slope = max(0.0, sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread)
    offset = mean_y - slope * mean_x
    return (offset, slope) if offset >= 0 else (0.0, max(0.0, mean_y / mean_x))
