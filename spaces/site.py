"""One decision at one place of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Choice: TypeAlias = int | str
"""An intrinsic value: a width (`48`), bits (`8`), a rank (`"spatial:24"`), a fold (`"on"`). Never an index."""


@dataclass(frozen=True, slots=True)
class Site:
    """A decision: which of the ordered `choices` one place of the network takes.

    Attributes:
        name: `technique/layer`, where the layer is a module of the original network.
        layers: The layers that the decision touches; a group of coupled layers is named after its first.
        choices: From the neutral choice (network unchanged) to the strongest.
    """

    name: str
    layers: tuple[str, ...]
    choices: tuple[Choice, ...]

    @property
    def technique(self) -> str:
        """The technique that offers and applies this site: the part of the name before the slash."""
        return self.name.partition("/")[0]

    @property
    def layer(self) -> str:
        """The layer that names the site: the part after the slash."""
        return self.name.partition("/")[2]

    @property
    def neutral(self) -> Choice:
        """The choice that leaves the network unchanged."""
        return self.choices[0]


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """Something that a technique could not offer, by name and reason, so that nothing is skipped in silence."""

    technique: str
    name: str
    reason: str
