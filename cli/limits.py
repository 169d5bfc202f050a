"""Whether the limits of a search can be kept, as far as untrained networks tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..evaluators.estimate import Estimate
from ..search.constraints import Constraint
from ..search.feasibility import keep_all, reaches


@dataclass(frozen=True, slots=True)
class LimitAnswer:
    """Whether a limit can be kept.

    Attributes:
        limit: As it is written; several with `and` between them.
        can_be_kept: By one of the estimated configurations; None where only a search can tell.
        explanation: By which, or what is nearest, or why it is not known.
    """

    limit: str
    can_be_kept: bool | None
    explanation: str


def limit_answers(estimates: Sequence[Estimate], limits: Sequence[Constraint]) -> list[LimitAnswer]:
    """One answer for each limit; where each can be kept but not by one network, one more for all of them.

    Args:
        estimates: Uniform configurations.
        limits: What a search is to keep.
    """
    networks = {each.name: _scores(each) for each in estimates if not each.reason}
    found = {each.limit: each for each in reaches(limits, networks)}
    answers = []
    for limit in limits:
        reach = found.get(limit)
        if reach is None:
            why = "a search measures it, this does not" if limit.is_structural else "only training tells"
            answers.append(LimitAnswer(limit.text, None, why))
        elif reach.can_be_kept:
            answers.append(LimitAnswer(limit.text, True, f"{reach.by}: {reach.nearest}"))
        else:
            answers.append(LimitAnswer(limit.text, False, f"the nearest, {reach.by}: {reach.nearest}"))
    told = [limit for limit in limits if limit in found]
    if len(told) > 1 and all(found[limit].can_be_kept for limit in told) and not keep_all(told, networks):
        together = " and ".join(limit.text for limit in told)
        answers.append(LimitAnswer(together, None, "none of these configurations keeps them at once; a mixed one may"))
    return answers


def _scores(each: Estimate) -> dict[str, float]:
    return {"latency_ms": each.latency_ms, "size_bytes": float(each.size_bytes), "macs": float(each.macs)}
