"""What came out of one evaluation of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..hardware_profiles.runtimes import OperatorTime
from .evaluator import Score


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out of one evaluation.

    Attributes:
        scores: By name.
        seconds: Wall time by stage.
        artefact: Path of the exported file.
        operator_times: The runtime's own time per operator, on the main hardware profile.
        is_verified: Whether the reloaded export passed parity; None where not checked.
        reason: Why it is not verified.
        broken_limit: Which limit of the device it breaks, empty where none.
        details: Facts for people.
        samples: Score per validation sample, shape (n,), where accuracy was measured.
        test_samples: The same on the test split, for final members.
        operator_times_at: As `operator_times`, by the name of every other profile that was measured on.
    """

    scores: Mapping[str, Score]
    seconds: Mapping[str, float]
    artefact: Path
    operator_times: tuple[OperatorTime, ...] = ()
    is_verified: bool | None = None
    reason: str = ""
    broken_limit: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    samples: NDArray[np.float64] | None = None
    test_samples: NDArray[np.float64] | None = None
    operator_times_at: Mapping[str, tuple[OperatorTime, ...]] = field(default_factory=dict)
