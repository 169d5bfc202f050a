"""What a run reports of its trials: worked out when first asked for, and then kept."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from ..search.front import best_of, front, reported_fidelity
from ..search.goals import DEFAULT_GOALS, Goals
from ..search.trial import Fidelity, State, Trial
from .goal_words import headline_drop


class Findings:
    """Baseline, front and pick of some trials, which must not change.

    Attributes:
        trials: By number.
        goals: What was searched for.
    """

    def __init__(self, trials: Sequence[Trial], goals: Goals = DEFAULT_GOALS) -> None:
        """Looks at nothing yet."""
        self.trials, self.goals = trials, goals

    @cached_property
    def fidelity(self) -> Fidelity:
        """The training behind the reported front."""
        return reported_fidelity(self.trials)

    @cached_property
    def baseline(self) -> Trial | None:
        """The uncompressed network, with the training of the reported front where it had it; None while none is."""
        neutral = [t for t in self.trials if not t.configuration and t.state is State.COMPLETE]
        if len(neutral) < 2:
            return next(iter(neutral), None)
        return next((t for t in neutral if t.fidelity is self.fidelity), neutral[0])

    @cached_property
    def front(self) -> tuple[Trial, ...]:
        """The front that is shown to people, from accurate to fast; empty before the baseline is evaluated."""
        return tuple(front(self.trials, self.fidelity, self.goals)) if self.baseline else ()

    @cached_property
    def pick(self) -> Trial | None:
        """The compressed network of the least main cost within one point, or within the limit that was set.

        None where none takes less than the baseline.
        """
        best = best_of(self.front, headline_drop(self.goals), self.goals)
        return best if best is not None and best.configuration else None

    @cached_property
    def superseded(self) -> frozenset[int]:
        """The numbers of the trials that were measured again."""
        later = (t.supersedes for t in self.trials if t.state is State.COMPLETE)
        return frozenset(number for number in later if number is not None)

    @cached_property
    def failed(self) -> tuple[Trial, ...]:
        """The trials that failed, and the final members that did not pass verification."""
        return tuple(t for t in self.trials if t.state is State.FAILED or t.is_verified is False)
