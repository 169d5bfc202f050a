"""What each layer of a measured network takes, from the runtime's profile that is kept with its trial."""

from __future__ import annotations

from collections.abc import Mapping

from ..evaluators.operator_profile import times_by_layer
from ..hardware_profiles.runtimes import OperatorTime
from ..search.costs import OPERATORS
from ..search.trial import Trial

_US_PER_MS = 1000.0


def layer_times(trial: Trial) -> Mapping[str | None, float]:
    """Microseconds by layer on the main hardware profile, None for all operators that belong to none.

    Their sum is the measured latency. Empty where the runtime gave no profile, or nothing was measured.
    """
    rows = trial.details.get(OPERATORS, ())
    if not rows or "latency_ms" not in trial.scores:
        return {}
    return times_by_layer([OperatorTime(*row) for row in rows], _US_PER_MS * trial.value("latency_ms"))
