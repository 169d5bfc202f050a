"""What the values of somebody else's evaluations mean, and the trials that a proposer learns from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ..evaluators.cost_tables import CostTables
from ..evaluators.evaluator import Score
from ..hardware_profiles import HardwareProfile, load_profile
from ..hardware_profiles.errors import SearchError
from ..spaces import Network, SearchSpace, find_space, trace
from .costs import OPERATORS
from .goals import Goals, parse_goals
from .proposal import Proposal
from .trial import Fidelity, State, Trial

MAX_BASELINE_FAILURES = 3


class ForeignValues:
    """Reads one value for each objective: accuracy in percent, and whatever else is minimised."""

    def __init__(self, space: SearchSpace, goals: Goals) -> None:
        """Checks the goals.

        Args:
            space: What may be chosen.
            goals: The objectives in the order of the values.

        Raises:
            SearchError: No accuracy among the objectives, or a limit on a score that no value holds.
        """
        self._goals, self._tables = goals, CostTables(space)
        names = [axis.name for axis in goals.objectives]
        if not any(axis.is_accuracy for axis in goals.objectives):
            raise SearchError(f"one of the objectives must be accuracy, got {', '.join(names)}: add it")
        held = {"macs", *(axis.score for axis in goals.objectives)}  # MACs are known without measuring
        for limit in goals.constraints:
            if limit.score not in held:
                raise SearchError(
                    f"a limit must be on macs or on one of the objectives {', '.join(names)}, got {limit.text!r}: "
                    "add the objective"
                )

    def read(self, values: Sequence[float]) -> dict[str, float] | None:
        """By the names of the scores, the accuracy's under that of its drop; None where they are no measurement."""
        axes = list(self._goals.objectives)
        read = {axis.score: value for axis, value in zip(axes, values, strict=True)}
        is_usable = all(math.isfinite(read[axis.score]) and (axis.is_accuracy or read[axis.score] > 0) for axis in axes)
        return read if is_usable else None

    def accuracy(self, values: Mapping[str, float], proposal: Proposal) -> float:
        """Of what `read` gave, in percent.

        Raises:
            SearchError: The uncompressed network's is a fraction of one.
        """
        accuracy = next(values[axis.score] for axis in self._goals.objectives if axis.is_accuracy)
        if accuracy <= 1 and not proposal.configuration:
            raise SearchError(
                f"accuracy must be in percent, got {accuracy:g} for the uncompressed network: return 100 times as much"
            )
        return accuracy

    def trial(
        self,
        number: int,
        proposal: Proposal,
        values: Mapping[str, float] | None,
        baseline_accuracy: float,
        *,
        reason: str = "",
        notes: Mapping[str, Any] | None = None,
    ) -> Trial:
        """An ended trial.

        Args:
            number: Of the trial.
            proposal: What was evaluated.
            values: See `read`; None where it failed.
            baseline_accuracy: Of the uncompressed network, in percent.
            reason: Why it failed.
            notes: What came with the values; operator times are taken from it.
        """
        if values is None:
            details = dict(proposal.details)
            state, scores = State.FAILED, dict[str, Score]()
        else:
            state, scores = State.COMPLETE, self._scores(proposal, values, baseline_accuracy)
            details = {**proposal.details, **_operators(notes or {}, scores)}
        return Trial(
            number,
            proposal.configuration,
            Fidelity.SHORT,
            state,
            scores,
            origin=proposal.origin,
            reason="" if scores else reason,
            details=details,
        )

    def _scores(self, proposal: Proposal, values: Mapping[str, float], baseline_accuracy: float) -> dict[str, Score]:
        scores: dict[str, Score] = {}
        for axis in self._goals.objectives:
            value = values[axis.score]
            if axis.is_accuracy:
                scores["accuracy"] = Score("accuracy", value, "%", True)
                value = baseline_accuracy - value
            scores[axis.score] = Score(axis.score, value, axis.quantity.unit, False)
        macs = float(self._tables.macs(proposal.configuration))
        scores.setdefault("macs", Score("macs", macs, "MACs", False))
        return scores


def open_network(
    model: nn.Module,
    example_inputs: Tensor,
    profile: str | HardwareProfile,
    objectives: Sequence[str],
    constraints: Sequence[str],
) -> tuple[Network, SearchSpace, Goals]:
    """A trained network of somebody's, what may be chosen in it, and what for.

    Args:
        model: In evaluation mode; not touched.
        example_inputs: What it takes, shape (n, ...), at least two samples.
        profile: Name of a hardware profile, or its file: what it executes may be chosen.
        objectives: Such as `accuracy`, `latency@board`, `macs`; accuracy, latency and size unless given.
        constraints: Such as `accuracy_drop<=1pt`.

    Raises:
        ParefrontError: The network cannot be traced, the profile or the goals are not understood.
    """
    loaded = load_profile(profile) if isinstance(profile, str) else profile
    network = trace(model, example_inputs)
    # The evaluation measures as it likes, so that every name of a profile is one that measures.
    named = {text.partition("<")[0].partition("@")[2].strip() for text in (*objectives, *constraints)}
    goals = parse_goals(objectives, constraints, ("", *sorted(named - {""})))
    return network, find_space(network, loaded.capabilities), goals


def check_tries(n_failed: int) -> None:
    """Gives up on an evaluation in which not even the uncompressed network succeeds.

    Raises:
        SearchError: It was tried too often.
    """
    if n_failed >= MAX_BASELINE_FAILURES:
        raise SearchError(
            f"the uncompressed network must be evaluated first, but {n_failed} trials of it failed: "
            "let the objective evaluate a trial whose sites are all neutral"
        )


def _operators(notes: Mapping[str, Any], scores: Mapping[str, Score]) -> dict[str, Any]:
    """Operator times that came with the values; they are learnt from with a latency and a size beside them."""
    if not {"latency_ms", "size_bytes"} <= set(scores):
        return {}
    return {name: rows for name, rows in notes.items() if name.partition("@")[0] == OPERATORS}
