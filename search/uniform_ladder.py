"""Configurations that treat every layer alike: what a search begins with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass

from ..spaces import Choice, Configuration, SearchSpace, Site
from ..spaces.moot_rules import STORAGE
from ..spaces.operator_shapes import SEPARABLE


@dataclass(frozen=True, slots=True)
class Rung:
    """A uniform configuration; what is in float for which the hardware has int8 is in int8.

    Attributes:
        pruned: Share of every width.
        is_folded: Whether every fold takes its strongest choice.
        rank: Place of the rank among the choices, 0 to 1; None for none.
        operator: The operator of every layer to which that one is offered; None for none.
        stored: Place of codes and zeros among theirs, 0 to 1, where they are offered.
    """

    pruned: float
    is_folded: bool = False
    rank: float | None = None
    stored: float = 0.0
    operator: str | None = None

    def words(self, techniques: Set[str]) -> str:
        """What it does to a space of some techniques: `prune 25%, folds`."""
        taken = {
            f"prune {self.pruned:.0%}": "prune" in techniques,
            "folds": self.is_folded and "fold" in techniques,
            "ranks": self.rank is not None and "rank" in techniques,
            "operators": self.operator is not None and "operator" in techniques,
            f"storage {self.stored:.0%}": self.stored > 0 and not techniques.isdisjoint(STORAGE),
        }
        return ", ".join([word for word, is_taken in taken.items() if is_taken]) or "few bits"


LADDER = (
    Rung(0.25),
    Rung(0.5, stored=0.5),
    Rung(0.25, is_folded=True),
    Rung(0.0, stored=0.65),
    Rung(0.5, is_folded=True, stored=0.4),
    Rung(0.25, rank=0.5, stored=0.3),
    Rung(0.0, stored=0.65, operator=SEPARABLE),
    Rung(0.75, stored=0.4),
    Rung(0.75, is_folded=True),
    Rung(0.0, is_folded=True, stored=0.5),
    Rung(0.5, rank=1.0, stored=0.5),
    Rung(0.5, stored=0.5, operator=SEPARABLE),
    Rung(0.625),
    Rung(0.625, is_folded=True, stored=0.65),
    Rung(0.375, is_folded=True),
    Rung(0.375, stored=0.8),
    Rung(0.875, stored=0.5),
    Rung(0.875, is_folded=True),
)
"""Widest apart first, so that a short search still sees every technique and the tables every kind of layer."""


def uniform_ladder(space: SearchSpace) -> Iterator[tuple[Configuration, str]]:
    """Configurations that treat every layer alike, with what they are, without repeats."""
    seen: set[Configuration] = set()
    techniques = {site.technique for site in space.sites}
    for rung in LADDER:
        configuration = space.canonical({site.name: _UNIFORM[site.technique](site, rung) for site in space.sites})
        if configuration not in seen:
            seen.add(configuration)
            yield configuration, f"uniform {rung.words(techniques)}"


def _uniform_width(site: Site, rung: Rung) -> Choice:
    width = int(site.choices[0])
    return min(site.choices, key=lambda choice: abs(int(choice) - (1 - rung.pruned) * width))


def _uniform_rank(site: Site, rung: Rung) -> Choice:
    return site.neutral if rung.rank is None else site.choices[max(1, round(rung.rank * (len(site.choices) - 1)))]


def _uniform_operator(site: Site, rung: Rung) -> Choice:
    return rung.operator if rung.operator in site.choices else site.neutral


def _uniform_fold(site: Site, rung: Rung) -> Choice:
    return site.choices[-1] if rung.is_folded else site.neutral


def _int8_or_smallest(site: Site, rung: Rung) -> Choice:
    return 8 if 8 in site.choices else site.choices[-1]


def _uniform_storage(site: Site, rung: Rung) -> Choice:
    return site.choices[round(rung.stored * (len(site.choices) - 1))]


_UNIFORM: Mapping[str, Callable[[Site, Rung], Choice]] = {
    "prune": _uniform_width,
    "operator": _uniform_operator,
    "rank": _uniform_rank,
    "fold": _uniform_fold,
    "bits": _int8_or_smallest,
    "sparsity": _uniform_storage,
    "code": _uniform_storage,
}
