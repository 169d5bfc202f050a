"""How many candidates get how much training."""

from __future__ import annotations

from dataclasses import dataclass

from ..hardware_profiles.errors import SearchError, unknown_name
from .trial import Fidelity

ROUND = 8
"""Candidates judged without training between two rounds of promotion to the short fine-tune."""
AIMED, RANKED = "aimed", "rank"
RULES = (AIMED, RANKED)


@dataclass(frozen=True, slots=True)
class Rungs:
    """The sizes of the rungs `calibrated`, `short` and `full`.

    Attributes:
        n_candidates: On the lowest rung, failed and closed ones counted.
        n_short: Of them, those that get the short fine-tune; None where all do, and nothing is judged untrained.
        n_full: Of these, those that get the full one.
        rule: Who gets the full one: `aimed` at the drops that people ask for, within the first rank, or by `rank` and
            hypervolume contribution as between the lower rungs.
        n_repeats: Short ones that may be measured again, where the front turns on a difference that is not sure.
    """

    n_candidates: int
    n_short: int | None = None
    n_full: int = 0
    rule: str = AIMED
    n_repeats: int = 0

    def __post_init__(self) -> None:
        for name in ("n_candidates", "n_short", "n_full", "n_repeats"):
            if (getattr(self, name) or 0) < 0:
                raise SearchError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if self.n_short is not None and self.n_short > self.n_candidates:
            raise SearchError(
                f"n_short must be at most the {self.n_candidates} candidates, got {self.n_short}: leave it out to give "
                "every candidate the short fine-tune"
            )
        if self.rule not in RULES:
            raise SearchError(unknown_name("promotion rule", self.rule, RULES))

    @property
    def lowest(self) -> Fidelity:
        """What a candidate's first accuracy is measured at."""
        return Fidelity.SHORT if self.n_short is None else Fidelity.CALIBRATED

    def round_at(self, n_ended: int, *, is_last: bool = False) -> tuple[int, int]:
        """Promotions to the short rung before this round, and with it, once so many candidates have ended.

        Args:
            n_ended: Candidates that ended.
            is_last: Whether there will be no more of them, so that the round may be shorter than others.
        """
        if self.n_short is None:
            return 0, 0
        end = n_ended if is_last or n_ended >= self.n_candidates else n_ended // ROUND * ROUND
        end = min(end, self.n_candidates)
        start = max(0, (end - 1) // ROUND * ROUND)
        return self._n_due(start), self._n_due(end)

    def n_repeats_at(self, n_ended: int) -> int:
        """Trials that may have been measured again once so many candidates have ended: half of all by the end."""
        return self.n_repeats // 2 * min(n_ended, self.n_candidates) // max(1, self.n_candidates)

    def _n_due(self, n_ended: int) -> int:
        assert self.n_short is not None, "only where there is a rung below"
        return self.n_short if n_ended >= self.n_candidates else self.n_short * n_ended // self.n_candidates
