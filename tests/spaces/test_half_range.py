import pytest
import torch
from torch import fx, nn

from parefront.hardware_profiles import PrecisionPlan, SpaceError
from parefront.hardware_profiles.precision import Half
from parefront.spaces.half_range import HEADROOM, check_half_range
from parefront.spaces.quantize import plan_precision


def network(factor: float) -> fx.GraphModule:
    """Three layers of one number each; the second multiplies by a factor, the third divides by it."""
    module = fx.symbolic_trace(nn.Sequential(*(nn.Linear(1, 1, bias=False) for _ in range(3)), nn.Tanh()))
    with torch.no_grad():
        for name, value in (("0", 1.0), ("1", factor), ("2", 1 / factor)):
            module.get_parameter(f"{name}.weight").fill_(value)
    return module


LIMIT = 65504 / HEADROOM
ONES = (torch.ones(3, 1),)


@pytest.mark.parametrize(
    ("layers", "large"),
    [(("1",), "'_1'"), (("2",), "'_1'"), (("0", "1", "2"), "'_1'"), (("0",), ""), ((), "")],
)
def test_what_fp16_layers_make_and_read_must_fit(layers: tuple[str, ...], large: str) -> None:
    module = network(2 * LIMIT)
    plan = PrecisionPlan(halves=dict.fromkeys(layers, "fp16"))
    if not large:
        check_half_range(module, plan, ONES)
        return
    with pytest.raises(SpaceError, match=f"must stay within 32752 on the calibration data, got 65504 for {large}"):
        check_half_range(module, plan, ONES)


@pytest.mark.parametrize(("half", "factor"), [("fp16", LIMIT), ("bf16", 1e30)])
def test_what_fits_is_let_through(half: Half, factor: float) -> None:
    check_half_range(network(factor), PrecisionPlan(halves={"1": half, "2": half}), ONES)


def test_every_batch_is_looked_at() -> None:
    inputs = torch.ones(100, 1)
    inputs[-1] = 1e6
    with pytest.raises(SpaceError, match="got 1e\\+06 for 'input_1'"):
        check_half_range(network(1.0), PrecisionPlan(halves={"0": "fp16"}), (inputs,))


def test_values_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(SpaceError, match="got nan"):
        check_half_range(network(1.0), PrecisionPlan(halves={"0": "fp16"}), (torch.full((2, 1), float("nan")),))


def test_planning_looks() -> None:
    with pytest.raises(SpaceError, match="choose bf16 or 32"):
        plan_precision(network(2 * LIMIT), {"1": "fp16"}, ONES)
    assert plan_precision(network(2 * LIMIT), {"1": "bf16"}, ONES) == PrecisionPlan(halves={"1": "bf16"})
