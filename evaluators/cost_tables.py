"""What each layer costs in each form: times from the runtime's operator profiles, bytes from the shapes.

The tables screen candidates and seed the search; they are never reported as a measurement. Every measured candidate's
profile is added, so they grow more exact where the search looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..hardware_profiles.runtimes import OperatorTime
from ..spaces import Choice, Configuration, SearchSpace
from ..spaces.factorize import is_part_of
from ..spaces.site import Site
from .graph_bytes import GraphBytes, Terms
from .layer_forms import Form, LayerForms
from .operator_profile import times_by_layer
from .operator_times import OperatorTimes
from .surroundings import Surroundings

MAX_REMEMBERED = 200_000
"""Layers under some choices that are remembered, so that memory stays bounded in a long search."""

_Key = tuple[Choice | None, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """A layer in front of the one that follows it, with all that no observation changes."""

    form: Form
    bits_behind: Choice | None
    weight_bytes: float
    macs: int
    n_weights: int
    around: Terms
    graph: Terms


@dataclass(frozen=True, slots=True)
class NetworkCost:
    """What a compressed network costs: latency and size are predictions, MACs and weights exact.

    Attributes:
        latency_ms: Per run.
        doubt_ms: What it may take beyond that, where operators are of kinds that were never timed.
        size_bytes: Of the exported file.
        macs: Multiply-accumulates per sample.
        n_weights: Of all convolutions and linear layers.
    """

    latency_ms: float
    doubt_ms: float
    size_bytes: float
    macs: int
    n_weights: int


@dataclass(frozen=True, slots=True)
class LayerCost:
    """What one layer costs in front of the one that follows it.

    Attributes:
        bits_behind: Of that one, all that counts of it; None where none follows.
        microseconds: With what stands around it.
        operator_us: Of the operators that multiply alone.
        doubt_us: What these may take beyond that.
        n_bytes: Of its weights, and of its part of the graph.
    """

    form: Form
    bits_behind: Choice | None
    microseconds: float
    operator_us: float
    doubt_us: float
    n_bytes: float
    macs: int
    n_weights: int


class CostTables:
    """Predicts latency and size of any configuration of a space from what was measured so far."""

    def __init__(self, space: SearchSpace) -> None:
        self._forms = LayerForms(space)
        layers = tuple(space.widths)
        self._after = {layer: layers[position + 1 :] for position, layer in enumerate(layers)}
        self._operators = OperatorTimes()
        plain = self._forms.of({})
        self._surroundings, self._graph = Surroundings(plain), GraphBytes(plain)
        under = {site.name: self._forms.layers_under(site) for site in space.sites}
        self._deciding = {layer: tuple(name for name in under if layer in under[name]) for layer in layers}
        # By a layer and the choices of the sites that decide about it; costs are forgotten with every observation.
        self._places: dict[_Key, _Place | None] = {}
        # Most choices of other sites change nothing but the precision behind: few places are priced.
        self._distinct: dict[tuple[Form, Choice | None], _Place] = {}
        self._prices: dict[int, LayerCost] = {}  # by the identity of the place, which is kept above
        self._costs: dict[_Key, LayerCost | None] = {}
        # A configuration is asked for its latency, its size and its MACs, one after the other.
        self._latest: tuple[Configuration | None, Sequence[LayerCost]] = None, []
        self._latest_cost: tuple[Configuration | None, NetworkCost] = None, NetworkCost(0.0, 0.0, 0.0, 0, 0)

    def forms(self, choices: Mapping[str, Choice]) -> list[Form]:
        """The layers of the compressed network, in order."""
        keys = ((layer, *map(choices.get, deciding)) for layer, deciding in self._deciding.items())
        return [place.form for key in keys if (place := self._place(key, choices)) is not None]

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
        by_layer = times_by_layer(operator_times, 1000 * latency_ms)
        others = sum(by_layer.values())
        taken: dict[str, dict[str, float]] = {form.layer: {} for form in forms}
        for name, microseconds in by_layer.items():
            for layer in (name, name.rpartition(".")[0]) if name else ():  # itself, or a factor of it
                if layer in taken and is_part_of(name or "", layer):
                    taken[layer][str(name)] = microseconds
        for form in forms:
            others -= sum(taken[form.layer].values())
            self._add(form, taken[form.layer])
        self._surroundings.add(forms, others, 1000 * latency_ms)
        self._graph.add(forms, size_bytes - sum(form.weight_bytes for form in forms))
        self._costs.clear()
        self._prices.clear()
        self._latest = None, []
        self._latest_cost = None, self._latest_cost[1]

    def cost(self, choices: Mapping[str, Choice]) -> NetworkCost:
        """What a configuration costs, all at once."""
        if choices is not self._latest_cost[0]:
            found = self._cost(choices)
            if not isinstance(choices, Configuration):  # which alone cannot change
                return found
            self._latest_cost = choices, found
        return self._latest_cost[1]

    def _cost(self, choices: Mapping[str, Choice]) -> NetworkCost:
        layers = self.layers(choices)
        microseconds = self._surroundings.fixed_us + sum([layer.microseconds for layer in layers])
        n_bytes = self._graph.fixed + sum([layer.n_bytes for layer in layers])
        macs, n_weights = sum([layer.macs for layer in layers]), sum([layer.n_weights for layer in layers])
        doubt_ms = sum([layer.doubt_us for layer in layers]) / 1000
        return NetworkCost(max(0.0, microseconds / 1000), doubt_ms, max(0.0, n_bytes), macs, n_weights)

    def latency_ms(self, choices: Mapping[str, Choice]) -> float:
        """Predicted latency of a configuration."""
        return self.cost(choices).latency_ms

    def size_bytes(self, choices: Mapping[str, Choice]) -> float:
        """Predicted size of a configuration's artefact: the weights exactly, the graph around them by its layers."""
        return self.cost(choices).size_bytes

    def macs(self, choices: Mapping[str, Choice]) -> int:
        """MACs of a configuration for one sample, exactly."""
        return self.cost(choices).macs

    def layers(self, choices: Mapping[str, Choice]) -> Sequence[LayerCost]:
        """What each layer costs, without those that a fold has taken in."""
        if choices is self._latest[0]:
            return self._latest[1]
        known, found = self._costs, list[LayerCost]()
        chosen = dict(choices.items())  # a dictionary's `get` takes a fraction of any other's
        for layer, deciding in self._deciding.items():
            key = (layer, *map(chosen.get, deciding))
            if key not in known:
                known[key] = self._priced(key, chosen)
            if (cost := known[key]) is not None:
                found.append(cost)
        if isinstance(choices, Configuration):  # which cannot change
            self._latest = choices, found
        return found

    def layer(self, name: str, choices: Mapping[str, Choice]) -> LayerCost | None:
        """What one layer costs; None where a fold has taken it in."""
        key = (name, *map(choices.get, self._deciding[name]))
        if key not in self._costs:
            self._costs[key] = self._priced(key, choices)
        return self._costs[key]

    def layer_cost(self, layer: str, choices: Mapping[str, Choice]) -> tuple[float, float]:
        """Milliseconds, at worst, and bytes of one layer, nothing where a fold has taken it in."""
        cost = self.layer(layer, choices)
        return (0.0, 0.0) if cost is None else ((cost.microseconds + cost.doubt_us) / 1000, cost.n_bytes)

    def layer_macs(self, layer: str, choices: Mapping[str, Choice]) -> int:
        """MACs of one layer for one sample, none where a fold has taken it in."""
        cost = self.layer(layer, choices)
        return 0 if cost is None else cost.macs

    def operator_us(self, form: Form) -> float:
        """Predicted time of the operators that multiply, without what stands around them, in µs."""
        return sum([self._operators.microseconds(part) for part in form.parts])

    def layers_under(self, site: Site) -> tuple[str, ...]:
        """The layers whose cost depends on a site."""
        return self._forms.layers_under(site)

    def _place(self, key: _Key, choices: Mapping[str, Choice]) -> _Place | None:
        """What the layer that a key begins with is under the choices; None where a fold has taken it in."""
        if key not in self._places:
            if len(self._places) >= MAX_REMEMBERED:
                self._places.clear()
                self._distinct.clear()
                self._prices.clear()
            self._places[key] = self._found(str(key[0]), choices)
        return self._places[key]

    def _found(self, layer: str, choices: Mapping[str, Choice]) -> _Place | None:
        form = self._forms.form(layer, choices)
        if form is None:
            return None
        behind = self._bits_behind(layer, choices)
        key = (form, behind)
        if key not in self._distinct:
            around, graph = self._surroundings.terms(form, behind), self._graph.terms(form, behind)
            self._distinct[key] = _Place(form, behind, form.weight_bytes, form.macs, form.weights, around, graph)
        return self._distinct[key]

    def _priced(self, key: _Key, choices: Mapping[str, Choice]) -> LayerCost | None:
        if len(self._costs) >= MAX_REMEMBERED:
            self._costs.clear()
        place = self._place(key, choices)
        if place is None:
            return None
        if id(place) not in self._prices:
            self._prices[id(place)] = self._price(place)
        return self._prices[id(place)]

    def _price(self, place: _Place) -> LayerCost:
        operator_us = self.operator_us(place.form)
        microseconds = operator_us + self._surroundings.of(place.around)
        doubt_us = sum([self._operators.doubt_us(part) for part in place.form.parts])
        n_bytes = place.weight_bytes + self._graph.of(place.graph)
        return LayerCost(
            place.form, place.bits_behind, microseconds, operator_us, doubt_us, n_bytes, place.macs, place.n_weights
        )

    def _bits_behind(self, layer: str, choices: Mapping[str, Choice]) -> Choice | None:
        """Of the next layer that no fold has taken in."""
        for name in self._after[layer]:
            if (bits := self._forms.bits(name, choices)) is not None:
                return bits
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
