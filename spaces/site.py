"""One decision at one place of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Choice: TypeAlias = int | str
"""An intrinsic value: a width (`48`), bits (`8`), a rank (`"spatial:24"`), a fold (`"on:2"`). Never an index."""


@dataclass(frozen=True, slots=True)
class Site:
    """A decision: which of the ordered `choices` one place of the network takes.

    Attributes:
        name: `technique/layer`, where the layer is a module of the original network.
        layers: The layers that the decision may touch; a group of coupled layers is named after its first.
        choices: From the neutral choice (network unchanged) to the strongest.
        spans: The layers that each of the choices touches; where it is empty, every choice but the neutral one touches
            all of them.
        notes: What marks each of the choices among the others; empty where none is marked.
    """

    name: str
    layers: tuple[str, ...]
    choices: tuple[Choice, ...]
    spans: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()

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

    def touched(self, choice: Choice) -> tuple[str, ...]:
        """The layers that one of the choices touches, in the order of `layers`."""
        if self.spans:
            return self.spans[self.choices.index(choice)]
        return () if choice == self.neutral else self.layers

    def note(self, choice: Choice) -> str:
        """What marks one of the choices, such as where its ranks come from; mostly nothing."""
        return self.notes[self.choices.index(choice)] if self.notes else ""


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """Something that a technique could not offer, by name and reason, so that nothing is skipped in silence."""

    technique: str
    name: str
    reason: str
