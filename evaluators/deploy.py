"""Export, reload, and the check that the exported network does what the torch network does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..hardware_profiles.precision import Half, PrecisionPlan
from ..hardware_profiles.runtimes.runtime import ExecutedPrecision, Session
from ..spaces import simulate
from ..spaces.compress import Finished

MAX_FLOAT_ERROR = 1e-3
MAX_INT8_ERROR = 0.1
"""Root mean square difference over the outputs' deviation. In int8 a value near a rounding boundary may fall either way
in torch and in the runtime, and the difference travels on."""
MAX_HALF_ERRORS: Mapping[Half, float] = {"bf16": 0.04, "fp16": 0.005}
"""A runtime that fuses operations rounds once where torch rounds after each, so values differ by up to a rounding: 2^-9
of themselves in bf16, 2^-12 in fp16. Independent ones add up like the root of their number: 20 times one for 400."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How well the runtime's outputs agree with torch's.

    Attributes:
        error: Root mean square difference divided by the standard deviation of torch's outputs.
        limit: What the error may be.
    """

    error: float
    limit: float

    @property
    def is_kept(self) -> bool:
        """Whether the exported network may be shown as good."""
        return self.error <= self.limit

    @property
    def broken(self) -> str:
        """Why it may not be, in words; empty where it may."""
        rule = f"the export must agree with torch within {self.limit:g} of their deviation"
        return "" if self.is_kept else f"{rule}, got {self.error:.3g}"


def check_parity(finished: Finished, session: Session, inputs: Tensor) -> Parity:
    """Runs the same inputs through torch, with the plan's rounding, and through the runtime.

    Args:
        finished: What was exported.
        session: The exported file, reloaded.
        inputs: Shape (n, ...).
    """
    with torch.no_grad():
        expected = simulate(finished.module, finished.plan)(inputs)
    actual = torch.from_numpy(session.run(inputs.numpy()))
    return Parity(relative_error(actual, expected), parity_limit(finished.plan))


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """Root mean square difference of two tensors of one shape, over the deviation of what is expected."""
    return float((actual - expected).square().mean().sqrt() / expected.std().clamp_min(1e-12))


def misexecuted_layers(finished: Finished, executed: ExecutedPrecision) -> tuple[str, ...]:
    """Layers that the runtime executed in other bits than the plan says: in more, or, on its own account, in fewer.

    Also those whose zeros it computed with, though the plan says that it skips them, or the other way round.
    """
    plan = finished.plan
    wrong = set(plan.layers) ^ set(executed.int8_layers)
    wrong |= _planned(plan, "bf16") ^ set(executed.bf16_layers)
    wrong |= _planned(plan, "fp16") ^ set(executed.fp16_layers)
    wrong |= set(plan.sparse) ^ set(executed.sparse_layers)
    return tuple(sorted(wrong | set(plan.weight_only_layers) - set(executed.weight_only_layers)))


def _planned(plan: PrecisionPlan, half: Half) -> set[str]:
    return {layer for layer, planned in plan.halves.items() if planned == half}


def parity_limit(plan: PrecisionPlan) -> float:
    """The widest of what the plan's precisions may differ by."""
    limits = [MAX_FLOAT_ERROR, *(MAX_HALF_ERRORS[half] for half in plan.halves.values())]
    return max(*limits, MAX_INT8_ERROR if plan.tensors else 0.0)
