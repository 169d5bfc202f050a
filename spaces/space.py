"""Everything that may be chosen for one network on one hardware profile, and the rules between the choices."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..hardware_profiles.errors import SpaceError, unknown_name
from ..hardware_profiles.profile import Capabilities
from .channel_groups import find_channel_groups
from .compress import TECHNIQUES
from .configuration import Configuration
from .factorize import factor_weights
from .network import Layer, Network
from .site import Choice, LeftAlone, Site


@dataclass(frozen=True, slots=True)
class Moot:
    """A site whose choice has no effect beside another one, with the rule that says so."""

    site: str
    rule: str


@dataclass(frozen=True, slots=True)
class LayerWidths:
    """Which pruning sites set a layer's channels.

    Attributes:
        layer: The layer.
        inputs: The sites behind its inputs (several where they are concatenated), each with its full width and the
            layer's inputs per channel: 1, or the pixels of a flattened map.
        output_site: The site of its outputs; None where their number is fixed.
    """

    layer: Layer
    inputs: tuple[tuple[str, int, int], ...]
    output_site: str | None

    def under(self, choices: Mapping[str, Choice]) -> tuple[int, int]:
        """Input and output channels of the layer under those choices."""
        removed = sum((width - int(choices.get(site, width))) * each for site, width, each in self.inputs)
        outer = choices.get(self.output_site or "", self.layer.out_channels)
        return self.layer.in_channels - removed, int(outer)


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """The sites of a network and the rules between them.

    Attributes:
        sites: By technique, in the order of the layers.
        left_alone: What no technique could offer, and why.
        widths: The channels of every layer, by layer name.
    """

    sites: tuple[Site, ...]
    left_alone: tuple[LeftAlone, ...]
    widths: Mapping[str, LayerWidths]

    @property
    def n_configurations(self) -> int:
        """Number of combinations of choices, before the rules."""
        return math.prod(len(site.choices) for site in self.sites)

    def site(self, name: str) -> Site:
        """The site of that name.

        Raises:
            SpaceError: There is none; names the closest.
        """
        for site in self.sites:
            if site.name == name:
                return site
        raise SpaceError(unknown_name("site", name, [site.name for site in self.sites]))

    def parse(self, choices: Mapping[str, Choice]) -> Configuration:
        """A configuration that a person set explicitly.

        Raises:
            SpaceError: An unknown site or choice, or a choice that another makes moot; names the rule.
        """
        for name, choice in choices.items():
            site = self.site(name)
            if choice not in site.choices:
                known = ", ".join(map(str, _closest_first(choice, site.choices)))
                raise SpaceError(f"{name} must be one of {known}, got {choice!r}: choose one of these")
        configuration = self.canonical(choices)
        for moot in self.moot_sites(choices):
            if moot.site in choices and choices[moot.site] != self.site(moot.site).neutral:
                raise SpaceError(
                    f"{moot.site}={choices[moot.site]} has no effect: {moot.rule}; leave one of the two out"
                )
        return configuration

    def canonical(self, choices: Mapping[str, Choice]) -> Configuration:
        """The configuration without neutral choices and without those that a stronger choice makes moot.

        Precedence: fold > rank > prune > bits.
        """
        chosen = {
            site.name: choices[site.name] for site in self.sites if choices.get(site.name, site.neutral) != site.neutral
        }
        for rule in (self._moot_by_folds, self._moot_by_widths):
            for moot in rule(chosen):
                chosen.pop(moot.site, None)
        return Configuration.of(chosen)

    def moot_sites(self, choices: Mapping[str, Choice]) -> tuple[Moot, ...]:
        """The sites that those choices make moot, each with its rule."""
        return (*self._moot_by_folds(choices), *self._moot_by_widths(choices))

    def _moot_by_folds(self, choices: Mapping[str, Choice]) -> Iterator[Moot]:
        """A folded pair is one layer: it has no inner width, no ranks, and one bit-width, that of the first."""
        folded: set[str] = set()
        for site in self.sites:
            if site.technique != "fold" or choices.get(site.name) != "on":
                continue
            first, *others = site.layers
            if folded & set(site.layers):
                yield Moot(site.name, f"one of {', '.join(site.layers)} is already part of another fold")
                continue
            folded |= set(site.layers)
            rule = f"{site.name}=on merges {' and '.join(site.layers)} into one layer"
            yield from (Moot(f"rank/{layer}", f"{rule}, which is not factorised") for layer in site.layers)
            yield from (Moot(f"bits/{layer}", f"{rule}, whose bits are bits/{first}") for layer in others)
            inner = self.widths[first].output_site
            if inner is not None and self.site(inner).layers == (first,):
                yield Moot(inner, f"{rule}, which has no inner width")

    def _moot_by_widths(self, choices: Mapping[str, Choice]) -> Iterator[Moot]:
        """A rank must cost less than the layer at its pruned widths, or it is no compression."""
        for site in self.sites:
            choice = choices.get(site.name, site.neutral)
            if site.technique != "rank" or choice == site.neutral:
                continue
            widths = self.widths[site.layer]
            inner, outer = widths.under(choices)
            full = inner * outer * math.prod(widths.layer.kernel_size)
            if factor_weights(str(choice), inner, outer, widths.layer.kernel_size) >= full:
                yield Moot(site.name, f"at {inner} x {outer} channels its factors cost no less than the layer")


def find_space(network: Network, capabilities: Capabilities) -> SearchSpace:
    """All sites that the techniques find in a network under what the hardware executes.

    Raises:
        SpaceError: No technique found a site.
    """
    found = [technique.find_sites(network, capabilities) for technique in TECHNIQUES]
    sites = tuple(site for each in found for site in each.sites)
    if not sites:
        raise SpaceError(
            f"nothing can be compressed: no site in {len(network.layers)} layers; `inspect` lists the reasons"
        )
    left_alone = tuple(item for each in found for item in each.left_alone)
    return SearchSpace(sites, left_alone, _layer_widths(network, sites))


def _layer_widths(network: Network, sites: tuple[Site, ...]) -> dict[str, LayerWidths]:
    outputs: dict[str, str] = {}
    inputs: dict[str, list[tuple[str, int, int]]] = {layer.name: [] for layer in network.layers}
    for group in find_channel_groups(network):
        name = f"prune/{group.name}"
        if any(site.name == name for site in sites):
            outputs.update(dict.fromkeys(group.producers, name))
            for consumer, each in group.consumers:
                inputs[consumer].append((name, group.width, each))
    return {
        layer.name: LayerWidths(layer, tuple(inputs[layer.name]), outputs.get(layer.name)) for layer in network.layers
    }


def _closest_first(choice: Choice, known: tuple[Choice, ...]) -> list[Choice]:
    """The choices of a site, those most like a wrong one first."""

    def distance(other: Choice) -> float:
        if isinstance(choice, int) and isinstance(other, int):
            return abs(choice - other)
        return 1 - difflib.SequenceMatcher(None, str(choice), str(other)).ratio()

    return sorted(known, key=distance)
