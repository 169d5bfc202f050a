"""Everything that may be chosen for one network on one hardware profile, and the rules between the choices."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ..hardware_profiles.errors import SpaceError, unknown_name
from ..hardware_profiles.profile import Capabilities
from .compress import TECHNIQUES
from .configuration import Configuration
from .factorize import Factorize
from .network import Layer, Network
from .options import DEFAULT_OPTIONS, CompressionOptions
from .rank_schemes import factor_weights
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
            number of the layer's inputs that it sets.
        output: The site of its outputs with its full width; None where their number is fixed.
    """

    layer: Layer
    inputs: tuple[tuple[str, int, int], ...] = ()
    output: tuple[str, int] | None = None

    @property
    def output_site(self) -> str | None:
        """The site of its outputs; None where their number is fixed."""
        return self.output[0] if self.output else None

    def under(self, choices: Mapping[str, Choice]) -> tuple[int, int]:
        """Input and output channels of the layer under those choices."""
        removed = sum(n * (full - int(choices.get(site, full))) // full for site, full, n in self.inputs)
        inner = self.layer.in_channels - removed
        if self.layer.is_depthwise:  # its outputs are its inputs, which may be several sites' side by side
            return inner, self.layer.out_channels * inner // self.layer.in_channels
        site, full = self.output or ("", 1)
        return inner, self.layer.out_channels * int(choices.get(site, full)) // full

    def weights_under(self, choices: Mapping[str, Choice]) -> int:
        """Weights of the layer under those choices; a depthwise convolution keeps one input per group."""
        inner, outer = self.under(choices)
        per_group = 1 if self.layer.is_depthwise else inner // self.layer.groups
        return math.prod(self.layer.kernel_size) * per_group * outer


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

    def check_not_empty(self) -> None:
        """Refuses a space in which nothing can be chosen.

        Raises:
            SpaceError: There is no site.
        """
        if not self.sites:
            raise SpaceError(
                f"nothing can be compressed: no site in {len(self.widths)} layers; `inspect` lists the reasons"
            )

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
        """A folded segment is one layer: it has no inner widths, no ranks, and one bit-width, that of the first.

        Of two folds that share a layer the earlier in the network counts.
        """
        folded: set[str] = set()
        for site in self.sites:
            choice = choices.get(site.name, site.neutral)
            if site.technique != "fold" or choice == site.neutral:
                continue
            span = site.touched(choice)
            if folded & set(span):
                yield Moot(site.name, f"one of {', '.join(span)} is already part of another fold")
                continue
            folded |= set(span)
            rule = f"{site.name}={choice} merges {', '.join(span[:-1])} and {span[-1]} into one layer"
            yield from (Moot(f"rank/{layer}", f"{rule}, which is not factorised") for layer in span)
            yield from (Moot(f"bits/{layer}", f"{rule}, whose bits are bits/{span[0]}") for layer in span[1:])
            yield from (Moot(inner, f"{rule}, which has no inner width") for inner in self._widths_inside(set(span)))

    def _widths_inside(self, layers: set[str]) -> Iterator[str]:
        """The pruning sites whose channels some layers make and only these read."""
        for site in self.sites:
            if site.technique == "prune" and set(site.layers) <= layers:
                readers = {name for name, each in self.widths.items() if site.name in {i[0] for i in each.inputs}}
                if readers and readers <= layers:
                    yield site.name

    def _moot_by_widths(self, choices: Mapping[str, Choice]) -> Iterator[Moot]:
        """A rank must cost less than the layer at its pruned widths, or it is no compression."""
        for site in self.sites:
            choice = choices.get(site.name, site.neutral)
            if site.technique != "rank" or choice == site.neutral:
                continue
            widths = self.widths[site.layer]
            inner, outer = widths.under(choices)
            full = widths.weights_under(choices)
            if factor_weights(str(choice), inner, outer, widths.layer.kernel_size) >= full:
                yield Moot(site.name, f"at {inner} x {outer} channels its factors cost no less than the layer")


def find_space(
    network: Network, capabilities: Capabilities, options: CompressionOptions = DEFAULT_OPTIONS
) -> SearchSpace:
    """All sites that the techniques find in a network under what the hardware executes; there may be none."""
    techniques = (replace(each, has_cp=options.has_cp) if isinstance(each, Factorize) else each for each in TECHNIQUES)
    found = [technique.find_sites(network, capabilities) for technique in techniques]
    sites = tuple(site for each in found for site in each.sites)
    left_alone = (*network.left_alone, *(item for each in found for item in each.left_alone))
    return SearchSpace(sites, left_alone, _layer_widths(network, sites))


def _layer_widths(network: Network, sites: tuple[Site, ...]) -> dict[str, LayerWidths]:
    widths = {layer.name: LayerWidths(layer) for layer in network.layers}
    offered = {site.layer for site in sites if site.technique == "prune"}
    for group in network.channels.groups:
        if group.name not in offered:
            continue
        site, full = f"prune/{group.name}", group.width
        read = dict((*group.consumers, *group.followers))
        made = dict.fromkeys((*group.producers, *dict(group.followers)), (site, full))
        widths |= {name: replace(widths[name], output=output) for name, output in made.items()}
        widths |= {
            name: replace(widths[name], inputs=(*widths[name].inputs, (site, full, n))) for name, n in read.items()
        }
    return widths


def _closest_first(choice: Choice, known: tuple[Choice, ...]) -> list[Choice]:
    """The choices of a site, those most like a wrong one first."""

    def distance(other: Choice) -> float:
        if isinstance(choice, int) and isinstance(other, int):
            return abs(choice - other)
        return 1 - difflib.SequenceMatcher(None, str(choice), str(other)).ratio()

    return sorted(known, key=distance)
