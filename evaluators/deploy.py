"""Export, reload, and the check that the exported network does what the torch network does."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..hardware_profiles.runtimes.runtime import ExecutedPrecision, Session
from ..spaces import simulate
from ..spaces.compress import Finished

MAX_FLOAT_ERROR = 1e-3
MAX_INT8_ERROR = 0.1
"""Root mean square difference over the outputs' deviation. In int8 a value near a rounding boundary may fall either way
in torch and in the runtime, and the difference travels on."""


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
    error = float((actual - expected).square().mean().sqrt() / expected.std().clamp_min(1e-12))
    return Parity(error, MAX_INT8_ERROR if finished.plan.tensors else MAX_FLOAT_ERROR)


def misexecuted_layers(finished: Finished, executed: ExecutedPrecision) -> tuple[str, ...]:
    """Layers that the runtime executed in other bits than the plan says: in more, or, on its own account, in fewer."""
    in_int8 = set(finished.plan.layers) ^ set(executed.int8_layers)
    return tuple(sorted(in_int8 | set(finished.plan.weight_only_layers) - set(executed.weight_only_layers)))
