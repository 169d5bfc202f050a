"""What a search is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..evaluators import Inheritance
from ..hardware_profiles.errors import SearchError, unknown_name
from ..spaces import DEFAULT_OPTIONS, CompressionOptions
from .goals import DEFAULT_GOALS, Goals
from .rungs import AIMED, Rungs
from .samplers import SAMPLER_NAMES
from .stopping import NO_LIMITS, Limits

OWN_SAMPLER = "tables"
N_REPEATS = 8


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """All that a person may set; a run goes on with some of it changed, see `check_same`.

    Attributes:
        n_trials: Candidates, failed and closed ones counted.
        n_final: Members of the front that get the full fine-tune.
        seed: Of proposals and training.
        sampler: `tables` (ours), or one of `SAMPLER_NAMES`.
        options: How the techniques work where there is more than one way.
        n_short: Candidates that get the short fine-tune, chosen by what they reach untrained; None where all do.
        promotion: Who gets the full fine-tune, see `Rungs`.
        goals: What is traded off, within which limits.
        limits: What ends the search beside its trials.
        n_repeats: Trials that may be measured again, where the front turns on a difference that is not sure.
        earlier: Directory of a run to begin from; None for none. A run goes on with what it took.
        table_seconds: What measuring single choices' effects on the outputs may take before the search; the others are
            estimated.
        has_stored_tables: Whether to begin with what earlier searches measured.
        inheritance: What short fine-tunes take over from the most similar trial that had one.
        has_cut: Whether a candidate that even the best accuracy seen would not bring into the front, or that promises
            little as far as its drop can be foretold, is closed before it is trained. False is for comparisons: it
            gives all of them an accuracy, for much more training.
        has_ladder: Whether one of Optuna's samplers begins with the uniform configurations, as ours always does; for
            comparisons.
    """

    n_trials: int
    n_final: int = 8
    seed: int = 0
    sampler: str = OWN_SAMPLER
    options: CompressionOptions = DEFAULT_OPTIONS
    n_short: int | None = None
    promotion: str = AIMED
    goals: Goals = DEFAULT_GOALS
    limits: Limits = NO_LIMITS
    n_repeats: int = N_REPEATS
    earlier: Path | None = None
    table_seconds: float = 0.0
    has_stored_tables: bool = True
    inheritance: Inheritance = Inheritance.NONE
    has_cut: bool = True
    has_ladder: bool = False

    def __post_init__(self) -> None:
        for name in ("n_trials", "n_final"):
            if getattr(self, name) < 0:
                raise SearchError(f"{name} must be 0 or more, got {getattr(self, name)}")
        known = (OWN_SAMPLER, *SAMPLER_NAMES)
        if self.sampler not in known:
            raise SearchError(unknown_name("sampler", self.sampler, known))
        _ = self.rungs  # checks them

    @property
    def rungs(self) -> Rungs:
        """How many candidates get how much training."""
        return Rungs(self.n_trials, self.n_short, self.n_final, self.promotion, self.n_repeats)
