"""What a search is for: the objectives that span the front and the limits that its members keep."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .constraints import Constraint, parse_constraint, parse_constraints
from .objectives import DEFAULT_OBJECTIVES, Objective, Objectives, parse_objectives
from .trial import Fidelity, Trial

WON_BACK = 0.6
"""Share of the short fine-tune's drop that the full one wins back, as a rule, of what is worth a promotion."""


@dataclass(frozen=True, slots=True)
class Goals:
    """Objectives and constraints of one search.

    Attributes:
        objectives: The axes.
        constraints: Upper limits, at most one for each quantity.
    """

    objectives: Objectives = DEFAULT_OBJECTIVES
    constraints: tuple[Constraint, ...] = ()

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of all scores that count, those of the objectives first."""
        names = [axis.score for axis in self.objectives] + [limit.score for limit in self.constraints]
        return tuple(dict.fromkeys(names))

    @property
    def has_stored(self) -> bool:
        """Whether it counts what it takes to store a network, so that choices pay that change nothing else."""
        return "stored_bytes" in self.scores

    @property
    def max_drop(self) -> float | None:
        """The points of accuracy that may be lost; None where nothing was said."""
        return next((limit.limit for limit in self.constraints if not limit.is_structural), None)

    def limits_at(self, fidelity: Fidelity) -> tuple[Constraint, ...]:
        """The limits as they hold at a fidelity: what training will win back is no reason to drop a candidate."""
        if fidelity is Fidelity.FULL:
            return self.constraints
        structural = tuple(limit for limit in self.constraints if limit.is_structural)
        if self.max_drop is None or fidelity is Fidelity.CALIBRATED:
            return structural
        return (*structural, Constraint("accuracy", self.max_drop / (1 - WON_BACK) if self.max_drop > 0 else 0.0))

    def allow(self, trial: Trial) -> bool:
        """Whether a complete trial keeps all limits, as they hold at its fidelity."""
        return all(limit.is_kept_by(trial) for limit in self.limits_at(trial.fidelity))

    def allowed(self, trials: Sequence[Trial]) -> list[Trial]:
        """Those complete trials that keep all limits, as they hold at their fidelities."""
        limits = {fidelity: self.limits_at(fidelity) for fidelity in Fidelity}
        return [trial for trial in trials if all(limit.is_kept_by(trial) for limit in limits[trial.fidelity])]

    def missing_from(self, scores: Collection[str]) -> tuple[str, ...]:
        """Names of the scores that count and are known before any training, as far as they are not among `scores`."""
        axes = [*self.objectives, *(Objective(limit.name) for limit in self.constraints)]
        names = [axis.score for axis in axes if not axis.is_accuracy]
        return tuple(name for name in dict.fromkeys(names) if name not in scores)

    @property
    def text(self) -> str:
        """In words: `accuracy, latency, size within accuracy_drop<=1pt, latency<=5ms`."""
        limits = ", ".join(limit.text for limit in self.constraints)
        return f"{', '.join(self.objectives.names)}{f' within {limits}' if limits else ''}"

    def broken_by(self, values: Mapping[str, float]) -> str:
        """The first structural limit that is broken, in words; empty where none is.

        Args:
            values: Scores, with the lower ends of their intervals where they are measured.
        """
        for limit in self.constraints:
            if limit.is_structural and limit.score in values and limit.is_surely_broken_by(values[limit.score]):
                return f"{limit.score} is {values[limit.score]:.6g}, the limit is {limit.text}"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "objectives": [{"name": axis.name, "max_drop": axis.max_drop} for axis in self.objectives],
            "constraints": [limit.text for limit in self.constraints],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Goals:
        """The inverse of `to_json`."""
        profiles = ("", *(axis["name"].partition("@")[2] for axis in data["objectives"]))
        limits = tuple(_limit(text, profiles) for text in data["constraints"])
        return cls(Objectives(tuple(Objective(**axis) for axis in data["objectives"])), limits)


def parse_goals(objectives: Sequence[str], constraints: Sequence[str], profiles: Sequence[str]) -> Goals:
    """What a person asks for on the command line or in a file.

    Args:
        objectives: Names, each alone or several after commas; none for accuracy, latency and size.
        constraints: Limits such as `accuracy_drop<=1pt`, each alone or several after commas or `and`.
        profiles: Names of the hardware profiles that measure, the main one first.

    Raises:
        SearchError: Not understood, or not measured by any profile.
    """
    names = [name for text in objectives for name in text.split(",")]
    axes = parse_objectives(names, profiles) if names else DEFAULT_OBJECTIVES
    tightest: dict[str, Constraint] = {}
    for limit in (limit for text in constraints for limit in parse_constraints(text, profiles)):
        held = tightest.get(limit.name)
        tightest[limit.name] = limit if held is None or limit.limit < held.limit else held
    return Goals(axes, tuple(tightest.values()))


def _limit(text: str, profiles: Sequence[str]) -> Constraint:
    _, _, profile = text.partition("<=")[0].partition("@")
    return parse_constraint(text, (*profiles, profile))


DEFAULT_GOALS = Goals()
