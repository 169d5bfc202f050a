"""The network in its precision, computed in float."""

from __future__ import annotations

from torch import fx

from ..hardware_profiles.export.lowering import lower
from ..hardware_profiles.precision import PrecisionPlan


def simulate(module: fx.GraphModule, plan: PrecisionPlan) -> fx.GraphModule:
    """The network with its plan's rounding done in float, to compare the runtime's outputs with."""
    return lower(module, plan, counts_steps=True)
