"""What a configuration does to each layer: in words, technique by technique, and how strongly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..spaces.configuration import Configuration
from ..spaces.site import Site
from .decisions import strength, word_choice


@dataclass(frozen=True, slots=True)
class DecisionCell:
    """What one configuration does to one layer.

    Attributes:
        words: One decision each, such as `48→24`; empty where the layer is unchanged.
        strength: 0 unchanged to 1 everything at its strongest.
    """

    words: tuple[str, ...]
    strength: float


def sites_by_layer(layers: Iterable[str], sites: Sequence[Site]) -> dict[str, list[Site]]:
    """The sites that may touch each layer."""
    return {name: [site for site in sites if name in site.layers] for name in layers}


def decide_layer(
    layer: str, sites: Iterable[Site], configuration: Configuration, n_techniques: int = 1
) -> DecisionCell:
    """What is done to one layer.

    Args:
        layer: Its name.
        sites: Those that may touch it.
        configuration: The choices.
        n_techniques: Techniques of the whole space; 1 where the sites are of one technique only.
    """
    chosen = {site: configuration.get(site.name, site.neutral) for site in sites}
    touching = [site for site, choice in chosen.items() if layer in site.touched(choice)]
    words = [word_choice(site, chosen[site]) for site in touching]
    return DecisionCell(tuple(words), strength(touching, configuration, n_techniques))


def count_techniques(sites: Iterable[Site]) -> int:
    """Techniques of a space, at least one."""
    return max(1, len({site.technique for site in sites}))


def word_layer(layer: Mapping[str, object]) -> str:
    """What is known of a layer beside its name: `conv, 16→32 channels, 2,359,296 MACs`."""
    return f"{layer['kind']}, {layer['in_channels']}→{layer['out_channels']} channels, {layer['macs']:,} MACs"
