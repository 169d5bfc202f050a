"""Whether the goals of a search can be met at all: found out before anything is spent on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..evaluators import Workbench
from ..evaluators.estimate import NEUTRAL, uniform_configurations
from ..evaluators.evaluator import Score
from ..hardware_profiles.errors import DeviceLostError, SearchError
from .constraints import Constraint
from .goals import Goals

MARGIN = 0.9
"""A search is refused where a limit is below this share of the uniform configurations' best: mixed ones may be a little
better than these, but not by much."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How near some networks come to a limit.

    Attributes:
        limit: What is asked.
        best: The lowest value among them, in the unit of the score.
        by: The name of that network.
    """

    limit: Constraint
    best: float
    by: str

    @property
    def can_be_kept(self) -> bool:
        """Whether the best of them keeps it."""
        return self.best <= self.limit.limit

    @property
    def nearest(self) -> str:
        """The limit that the best of them would just keep."""
        return replace(self.limit, limit=_rounded_up(self.best)).text


def reaches(limits: Sequence[Constraint], networks: Mapping[str, Mapping[str, float]]) -> list[Reach]:
    """How near some networks come to each limit; nothing about limits whose score none of them has.

    Args:
        limits: Of any kind.
        networks: Scores by the name of the network.
    """
    found = []
    for limit in limits:
        values = {name: scores[limit.score] for name, scores in networks.items() if limit.score in scores}
        if values:
            by = min(values, key=values.__getitem__)
            found.append(Reach(limit, values[by], by))
    return found


def keep_all(limits: Sequence[Constraint], networks: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The names of the networks that keep all those limits at once whose score they have."""
    return [
        name
        for name, scores in networks.items()
        if all(scores[limit.score] <= limit.limit for limit in limits if limit.score in scores)
    ]


def check_measured(goals: Goals, scores: Mapping[str, Score]) -> None:
    """Refuses objectives and limits that nothing measures here.

    Args:
        goals: What the search is for.
        scores: Of the baseline.

    Raises:
        SearchError: A score is missing.
    """
    missing = goals.missing_from(scores)
    if missing:
        told = ", ".join(name for name in scores if not name.startswith(("accuracy", "test_", "parity_error")))
        raise SearchError(
            f"objectives and limits must be measured, but {', '.join(missing)} is not, by these hardware profiles on "
            f"this machine: leave it out; there are {told}"
        )


def check_accuracy_limit(goals: Goals, accuracy: float) -> None:
    """Refuses a gain of accuracy that would need more than 100 %.

    Args:
        goals: What the search is for.
        accuracy: Of the baseline, in %.

    Raises:
        SearchError: The limit cannot be kept.
    """
    least = accuracy - 100.0
    if goals.max_drop is not None and goals.max_drop < least:
        raise SearchError(
            f"{Constraint('accuracy', goals.max_drop).text} cannot be kept, because the baseline has {accuracy:.2f} % "
            f"already: the nearest is {Constraint('accuracy', round(least, 2)).text}"
        )


def check_structural_limits(goals: Goals, workbench: Workbench, baseline: Mapping[str, Score]) -> None:
    """Measures the smallest networks of the space, and refuses limits that they are far from; nothing is trained.

    Args:
        goals: What the search is for; without a structural limit nothing is measured.
        workbench: Anchored.
        baseline: Scores of the uncompressed network.

    Raises:
        SearchError: A limit cannot be kept; says the nearest that can.
    """
    limits = [limit for limit in goals.constraints if limit.is_structural]
    if not limits:
        return
    networks = {NEUTRAL: _lows(baseline)}
    for position, (name, configuration) in enumerate(uniform_configurations(workbench.space).items()):
        if name == NEUTRAL:
            continue
        try:
            evaluation = workbench.structure(configuration, f"uniform-{position}")
        except DeviceLostError:
            raise
        except Exception:  # what cannot be built is no network to judge by; the search will say why
            continue
        evaluation.artefact.unlink(missing_ok=True)
        networks[name] = _lows(evaluation.scores)
    beyond = [each for each in reaches(limits, networks) if each.limit.limit < MARGIN * each.best]
    if beyond:
        asked, nearest = (
            " and ".join(texts)
            for texts in ([each.limit.text for each in beyond], [f"{each.nearest} ({each.by})" for each in beyond])
        )
        raise SearchError(f"{asked} cannot be kept by any network of this space: the nearest is {nearest}")


def _lows(scores: Mapping[str, Score]) -> dict[str, float]:
    """Every score, the lower end of its interval where it was measured."""
    return {name: score.value if score.low is None else score.low for name, score in scores.items()}


def _rounded_up(value: float) -> float:
    """To three significant digits, so that it may be typed and is still kept."""
    rounded = float(f"{value:.3g}")
    if rounded >= value:
        return rounded
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    return float(f"{rounded + step:.12g}")
