"""Which choices have no effect beside others, and by which rule."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from .configuration import Configuration
from .factorize import is_part_of
from .layer_widths import LayerWidths
from .operator_shapes import operator_macs
from .rank_schemes import factor_weights
from .site import Choice, Site
from .weight_codes import ONE_BIT, TIES, parse_code

STORAGE = ("sparsity", "code")
"""Techniques that change what is stored and nothing that a runtime executes, but for zeros that it skips."""


def executed_part(configuration: Configuration, sparse: Collection[str] = ()) -> Configuration:
    """A configuration without the choices that change nothing but what is stored.

    Args:
        configuration: Canonical.
        sparse: Layers of the compressed network whose zeros are skipped.
    """

    def is_executed(site: str) -> bool:
        technique, _, layer = site.partition("/")
        skips = technique == "sparsity" and any(is_part_of(name, layer) for name in sparse)
        return technique not in STORAGE or skips

    return Configuration.of({name: choice for name, choice in configuration.items() if is_executed(name)})


@dataclass(frozen=True, slots=True)
class Moot:
    """A site whose choice has no effect beside another one, with the rule that says so."""

    site: str
    rule: str


class MootRules:
    """The rules of one space. What a rule says is worked out once for each choice: searches ask very often."""

    def __init__(self, sites: tuple[Site, ...], widths: Mapping[str, LayerWidths]) -> None:
        self._sites, self._widths = sites, widths
        self._stored = {site.name for site in sites if site.technique in STORAGE}
        self._folds = [site for site in sites if site.technique == "fold"]
        self._operators = [site for site in sites if site.technique == "operator"]
        self._ranks = [site for site in sites if site.technique == "rank"]
        self._codes = [site for site in sites if site.technique == "code"]
        self._by_fold: dict[tuple[str, Choice], tuple[frozenset[str], tuple[Moot, ...]]] = {}
        self._by_widths: dict[tuple[Choice | None, ...], Moot | None] = {}

    @property
    def all(self) -> tuple[Callable[[Mapping[str, Choice]], Iterator[Moot]], ...]:
        """The rules by precedence: what one makes moot says nothing in those behind it."""
        return self.by_folds, self.by_operators, self.by_widths, self.by_codes

    def by_folds(self, choices: Mapping[str, Choice]) -> Iterator[Moot]:
        """A folded segment is one layer: it has no inner widths, no ranks, and one bit-width, that of the first.

        Of two folds that share a layer the earlier in the network counts.
        """
        folded: set[str] = set()
        for site in self._folds:
            choice = choices.get(site.name, site.neutral)
            if choice == site.neutral:
                continue
            if (site.name, choice) not in self._by_fold:
                span = site.touched(choice)
                self._by_fold[site.name, choice] = frozenset(span), tuple(self._inside(site, choice, span))
            layers, moot = self._by_fold[site.name, choice]
            if folded & layers:
                shared = ", ".join(site.touched(choice))
                yield Moot(site.name, f"one of {shared} is already part of another fold")
                continue
            folded |= layers
            yield from moot

    def by_operators(self, choices: Mapping[str, Choice]) -> Iterator[Moot]:
        """An operator must cost less than the layer at its pruned widths; then the layer is not there to factorise."""
        for site in self._operators:
            choice = choices.get(site.name, site.neutral)
            if choice == site.neutral:
                continue
            moot = self._without_gain(site, choice, choices)
            yield moot or Moot(f"rank/{site.layer}", f"{site.name}={choice} puts another operator in its place")

    def by_widths(self, choices: Mapping[str, Choice]) -> Iterator[Moot]:
        """A rank must cost less than the layer at its pruned widths, or it is no compression."""
        for site in self._ranks:
            choice = choices.get(site.name, site.neutral)
            if choice != site.neutral and (moot := self._without_gain(site, choice, choices)) is not None:
                yield moot

    def _without_gain(self, site: Site, choice: Choice, choices: Mapping[str, Choice]) -> Moot | None:
        widths = self._widths[site.layer]
        key = (site.name, choice, *(choices.get(name) for name in widths.sites))
        if key not in self._by_widths:
            self._by_widths[key] = _no_gain(site, choice, widths, choices)
        return self._by_widths[key]

    def by_codes(self, choices: Mapping[str, Choice]) -> Iterator[Moot]:
        """No weight of 1 bit can be zero, and none that is tied to others; ties are for layers as they are."""
        for site in self._codes:
            choice = choices.get(site.name, site.neutral)
            if choice == ONE_BIT:
                yield Moot(f"sparsity/{site.layer}", f"{site.name}={choice} leaves no weight zero")
            kind, number = parse_code(str(choice)) if choice != site.neutral else ("", 0)
            if kind in TIES:
                yield Moot(f"sparsity/{site.layer}", f"{site.name}={choice} ties weights, of which none can be zero")
                yield from (Moot(site.name, reason) for reason in self._reasons_against_ties(site, number, choices))

    def _reasons_against_ties(self, site: Site, number: int, choices: Mapping[str, Choice]) -> Iterator[str]:
        layer = site.layer
        for other in (f"operator/{layer}", f"rank/{layer}"):
            if choices.get(other, "full") != "full":
                yield f"{other}={choices[other]} puts other layers in its place"
                return
        widths = self._widths[layer]
        inner, outer = widths.under(choices)
        if widths.layer.kind == "linear" and (inner % number or outer % number):
            yield f"{inner} x {outer} weights cannot be cut into blocks of side {number}"

    def _inside(self, site: Site, choice: Choice, span: tuple[str, ...]) -> Iterator[Moot]:
        rule = f"{site.name}={choice} merges {', '.join(span[:-1])} and {span[-1]} into one layer"
        operators = (site for site in self._operators if site.layer in span)
        yield from (Moot(operator.name, f"{rule}, which stays a convolution") for operator in operators)
        yield from (Moot(f"rank/{layer}", f"{rule}, which is not factorised") for layer in span)
        yield from (Moot(f"bits/{layer}", f"{rule}, whose bits are bits/{span[0]}") for layer in span[1:])
        stored = (name for technique in STORAGE for layer in span if (name := f"{technique}/{layer}") in self._stored)
        yield from (Moot(name, f"{rule}, which is stored as it is") for name in stored)
        yield from (Moot(inner, f"{rule}, which has no inner width") for inner in self._widths_inside(set(span)))

    def _widths_inside(self, layers: set[str]) -> Iterator[str]:
        """The pruning sites whose channels some layers make and only these read."""
        for site in self._sites:
            if site.technique == "prune" and set(site.layers) <= layers:
                readers = {name for name, each in self._widths.items() if site.name in {i[0] for i in each.inputs}}
                if readers and readers <= layers:
                    yield site.name


def _no_gain(site: Site, choice: Choice, widths: LayerWidths, choices: Mapping[str, Choice]) -> Moot | None:
    (inner, outer), layer = widths.under(choices), widths.layer
    if site.technique == "operator":
        macs = operator_macs(str(choice), inner, outer, layer.kernel_size, layer.stride, layer.n_positions)
        has_gain, what = macs < widths.weights_under(choices) * layer.n_positions, "it takes"
    else:
        weights = factor_weights(str(choice), inner, outer, layer.kernel_size)
        has_gain, what = weights < widths.weights_under(choices), "its factors cost"
    return None if has_gain else Moot(site.name, f"at {inner} x {outer} channels {what} no less than the layer")
