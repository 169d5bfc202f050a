"""Whether the values that a network would hold in half precision fit into it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx

from ..hardware_profiles.errors import SpaceError
from ..hardware_profiles.export.half_precision import largest_value
from ..hardware_profiles.export.lowering import values_in_half
from ..hardware_profiles.precision import PrecisionPlan
from .observe import batches, run_observed

HEADROOM = 2.0
"""How many times as large as on the calibration data values may become: what is not fp16's becomes infinite."""


def check_half_range(module: fx.GraphModule, plan: PrecisionPlan, calibration: tuple[Tensor, ...]) -> None:
    """Runs the calibration inputs where a plan has fp16 in it, which ends at 65504; bf16 ends where float32 does.

    The layers' inputs are looked at as well as what is made in fp16, since they are cast to it.

    Args:
        module: The float network.
        plan: Its precision.
        calibration: Every input, shape (n, ...).

    Raises:
        SpaceError: A value would be infinite in fp16, or comes close to it.
    """
    if "fp16" not in plan.halves.values():
        return
    held = {node for node, half in values_in_half(module, plan).items() if half == "fp16"}
    held |= {n.all_input_nodes[0] for n in held if n.op == "call_module" and n.target in plan.halves}
    limit = largest_value("fp16") / HEADROOM

    def look(node: fx.Node, value: Any) -> None:  # fx passes values of any type
        if node not in held or not isinstance(value, Tensor) or not value.numel():
            return
        largest = float(value.abs().max())
        # Written so that NaN, which compares to nothing, is refused, too.
        if not largest <= limit:
            raise SpaceError(
                f"values in fp16 must stay within {limit:g} on the calibration data, got {largest:g} for "
                f"{node.name!r}: choose bf16 or 32 for the layers that make and read it"
            )

    for batch in batches(calibration):
        run_observed(module, batch, look)
