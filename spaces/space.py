"""Everything that may be chosen for one network on one hardware profile, and the rules between the choices."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..hardware_profiles.errors import SpaceError, unknown_name
from ..hardware_profiles.profile import Capabilities
from .compress import TECHNIQUES
from .configuration import Configuration
from .encode import Encode
from .factorize import Factorize
from .layer_widths import LayerWidths, layer_widths
from .moot_rules import STORAGE, Moot, MootRules
from .network import Network
from .options import DEFAULT_OPTIONS, CompressionOptions
from .site import Choice, LeftAlone, Site
from .sparsify import PERCENTAGES, Sparsify, suffices
from .substitute import Substitute


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """The sites of a network and the rules between them.

    Attributes:
        sites: By technique, in the order of the layers.
        left_alone: What no technique could offer, and why.
        widths: The channels of every layer, by layer name.
        sparse_density: At most which share of weights that are not zero the hardware skips the others of linear layers.
    """

    sites: tuple[Site, ...]
    left_alone: tuple[LeftAlone, ...]
    widths: Mapping[str, LayerWidths]
    sparse_density: float = 0.0
    _rules: MootRules = field(init=False, repr=False, compare=False)
    _neutral: Mapping[str, Choice] = field(init=False, repr=False, compare=False)
    _by_technique: Mapping[str, Sequence[Site]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_technique: dict[str, list[Site]] = {}
        for site in self.sites:
            by_technique.setdefault(site.technique, []).append(site)
        object.__setattr__(self, "_rules", MootRules(self.sites, self.widths))
        object.__setattr__(self, "_neutral", {site.name: site.neutral for site in self.sites})
        object.__setattr__(self, "_by_technique", dict(sorted(by_technique.items())))

    @property
    def by_technique(self) -> Mapping[str, Sequence[Site]]:
        """The sites of every technique, by its name in alphabetical order."""
        return self._by_technique

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

        Precedence: fold > operator > rank > prune > bits > code > sparsity.
        """
        neutral = self._neutral
        chosen = {name: choices[name] for name in neutral if name in choices and choices[name] != neutral[name]}
        for rule in self._rules.all:
            for moot in rule(chosen):
                chosen.pop(moot.site, None)
        return Configuration.of(chosen)

    def moot_sites(self, choices: Mapping[str, Choice]) -> tuple[Moot, ...]:
        """The sites that those choices make moot, each with its rule."""
        return tuple(moot for rule in self._rules.all for moot in rule(choices))


def find_space(
    network: Network, capabilities: Capabilities, options: CompressionOptions = DEFAULT_OPTIONS
) -> SearchSpace:
    """All sites that the techniques find in a network under what the hardware executes; there may be none.

    Raises:
        SpaceError: The options name a technique that is not offered.
    """
    asked = {Substitute().name: options.has_operators, **dict.fromkeys(STORAGE, options.has_stored)}
    asked[Sparsify().name] |= suffices(max(PERCENTAGES), capabilities.sparse_density)
    offered = {each.name: each for each in TECHNIQUES if asked.get(each.name, True)}
    for name in options.only:
        if name not in offered:
            raise SpaceError(unknown_name("technique", name, offered))
    # Three of them offer more where that is asked for.
    offered[Factorize().name] = Factorize(has_cp=options.has_cp)
    if Sparsify().name in offered:
        offered[Sparsify().name] = Sparsify(is_stored=options.has_stored)
    if options.has_stored:
        offered[Encode().name] = Encode(has_ties=options.has_operators)
    chosen = [each for name, each in offered.items() if name in (options.only or offered)]
    found = [technique.find_sites(network, capabilities) for technique in chosen]
    sites = tuple(site for each in found for site in each.sites)
    left_alone = (*network.left_alone, *(item for each in found for item in each.left_alone))
    return SearchSpace(sites, left_alone, layer_widths(network, sites), capabilities.sparse_density)


def _closest_first(choice: Choice, known: tuple[Choice, ...]) -> list[Choice]:
    """The choices of a site, those most like a wrong one first."""

    def distance(other: Choice) -> float:
        if isinstance(choice, int) and isinstance(other, int):
            return abs(choice - other)
        return 1 - difflib.SequenceMatcher(None, str(choice), str(other)).ratio()

    return sorted(known, key=distance)
