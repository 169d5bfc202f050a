"""What a technique must offer: its sites in a network, and how its decisions are made real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import fx

from ..hardware_profiles.profile import Capabilities
from .network import Network
from .site import Choice, LeftAlone, Site

Decisions = Mapping[str, Choice]
"""Non-neutral choices of one technique, by the layer that names the site."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a technique found in a network."""

    sites: tuple[Site, ...]
    left_alone: tuple[LeftAlone, ...] = ()


class Technique(Protocol):
    """A way to compress a network, as sites with choices and a transform.

    `prepare` and `finish` edit the module they are given: `compress` hands them a private copy.
    """

    @property
    def name(self) -> str:
        """The part before the slash in the names of its sites."""
        ...

    def find_sites(self, network: Network, capabilities: Capabilities) -> Found:
        """The sites of this technique in a network, under what the hardware executes."""
        ...

    def prepare(self, module: fx.GraphModule, decisions: Decisions, network: Network) -> None:
        """Brings the module into its trainable compressed form; `network` holds the facts about the original."""
        ...

    def finish(self, module: fx.GraphModule, decisions: Decisions) -> None:
        """Brings the trained module into the form that is deployed."""
        ...
