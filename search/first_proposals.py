"""Proposes what is worth evaluating first, and then what another proposer says."""

from __future__ import annotations

from collections.abc import Sequence

from ..spaces import Configuration
from .proposal import Proposal, Proposer
from .trial import Trial


class FirstProposals:
    """A list of proposals before those of a proposer."""

    def __init__(self, first: Sequence[Proposal], proposer: Proposer) -> None:
        """Begins with all of the list; what is told of drops out of it."""
        self._first, self._proposer = list(first), proposer
        self._under_way: set[Configuration] = set()

    def ask(self, n: int) -> list[Proposal]:
        """See `Proposer`."""
        found, self._first = self._first[:n], self._first[n:]
        self._under_way |= {proposal.configuration for proposal in found}
        # Until the proposer has nothing more: an empty answer would end the search.
        while len(found) < n and (more := self._proposer.ask(n - len(found))):
            # It has not heard of what is under way.
            found += [each for each in more if each.configuration not in self._under_way]
        return found

    def tell(self, trial: Trial) -> None:
        """See `Proposer`."""
        self._under_way.discard(trial.configuration)
        self._first = [each for each in self._first if each.configuration != trial.configuration]
        self._proposer.tell(trial)
