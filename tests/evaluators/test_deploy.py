from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import fx, nn

from parefront.evaluators.deploy import (
    MAX_FLOAT_ERROR,
    MAX_HALF_ERRORS,
    MAX_INT8_ERROR,
    Parity,
    check_parity,
    misexecuted_layers,
)
from parefront.hardware_profiles import ExecutedPrecision, PrecisionPlan, TensorQuantization, get_runtime
from parefront.hardware_profiles.runtimes import executed_precision
from parefront.spaces import Configuration, finish, prepare, trace
from parefront.spaces.compress import Finished

INPUTS = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])


class Shifted:
    """A runtime that gives its inputs back, off by a constant."""

    input_shape = (None, 2)

    def __init__(self, shift: float) -> None:
        self._shift = shift

    def zeros(self, batch_size: int) -> tuple[NDArray[Any], ...]:
        return (np.zeros((batch_size, 2), np.float32),)

    def run(self, inputs: Any) -> NDArray[Any]:
        return self.run_all(inputs)[0]

    def run_all(self, inputs: Any) -> tuple[NDArray[Any], ...]:
        return (inputs + np.float32(self._shift),)


def identity(plan: PrecisionPlan | None = None) -> Finished:
    return Finished(fx.symbolic_trace(nn.Sequential(nn.Identity())), plan or PrecisionPlan.none())


def planned(*layers: str) -> Finished:
    weight = TensorQuantization(8, (0.1,), (0,), axis=0, is_signed=True)
    return identity(PrecisionPlan({f"{layer}.weight": weight for layer in layers}))


@pytest.mark.parametrize("shift", [0.0, 0.0005, 0.5])
def test_the_error_is_the_difference_over_the_deviation(shift: float) -> None:
    # Outputs 1, -1, -1, 1: mean 0, variance 4 / 3 (n - 1); the difference is the shift everywhere.
    parity = check_parity(identity(), Shifted(shift), INPUTS)
    assert parity.error == pytest.approx(shift / (4 / 3) ** 0.5, rel=1e-3, abs=1e-7)
    assert parity.limit == MAX_FLOAT_ERROR
    assert parity.is_kept is (shift < 0.001)


def test_int8_has_a_limit_of_its_own() -> None:
    assert Parity(MAX_INT8_ERROR, MAX_INT8_ERROR).is_kept
    assert not Parity(MAX_INT8_ERROR * 1.01, MAX_INT8_ERROR).is_kept


def test_the_widest_of_the_limits_in_a_plan_counts() -> None:
    module = fx.symbolic_trace(nn.Sequential(nn.Linear(2, 2)))
    weight = TensorQuantization(8, (0.1,) * 2, (0,) * 2, axis=0, is_signed=True)
    value = TensorQuantization(8, (0.1,), (0,), axis=None, is_signed=False)
    int8 = PrecisionPlan({"0.weight": weight, "input_1.value": value})
    for plan, limit in (
        (PrecisionPlan(halves={"0": "fp16"}), MAX_HALF_ERRORS["fp16"]),
        (PrecisionPlan(halves={"0": "bf16"}), MAX_HALF_ERRORS["bf16"]),
        (int8, MAX_INT8_ERROR),
    ):
        assert check_parity(Finished(module, plan), Shifted(0.0), INPUTS).limit == limit
    assert MAX_FLOAT_ERROR < MAX_HALF_ERRORS["fp16"] < MAX_HALF_ERRORS["bf16"] < MAX_INT8_ERROR


def test_outputs_that_are_not_finite_are_no_parity() -> None:
    assert not check_parity(identity(), Shifted(float("nan")), INPUTS).is_kept
    assert not check_parity(identity(), Shifted(float("inf")), INPUTS).is_kept


def test_layers_that_fell_back_to_float_are_named() -> None:
    executed = ExecutedPrecision(int8_layers=("a", "c"), float_layers=("b",))
    assert misexecuted_layers(planned("a", "c"), executed) == ()
    # `d` was executed by nothing that is known to multiply.
    assert misexecuted_layers(planned("d", "a", "b", "c"), executed) == ("b", "d")


def test_layers_that_the_runtime_took_to_int8_on_its_own_account_are_named() -> None:
    executed = ExecutedPrecision(int8_layers=("a", "c"), float_layers=("b",))
    assert misexecuted_layers(planned("a"), executed) == ("c",)
    assert misexecuted_layers(identity(), executed) == ("a", "c")


def test_weight_only_layers_are_checked_like_those_in_int8() -> None:
    blocks = TensorQuantization(4, (0.1,), (0,), axis=0, is_signed=True, block_size=32)
    finished = identity(PrecisionPlan({"a.weight": blocks, "b.weight": blocks}))
    executed = ExecutedPrecision(int8_layers=(), float_layers=("a",), weight_only_layers=("b",))
    assert misexecuted_layers(finished, executed) == ("a",)


def test_a_sparse_layer_passes_the_checks_through_its_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = trace(nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 4)), torch.zeros(2, 512))
    configuration, inputs = Configuration.of({"sparsity/0": 90}), torch.randn(8, 512)
    finished = finish(prepare(network, configuration), configuration, inputs, sparse_density=0.2)
    runtime, path = get_runtime("torch"), tmp_path / "a.pt2"
    runtime.export(finished.module, (inputs[:2],), finished.plan, path)
    assert check_parity(finished, runtime.open_session(path, 1), inputs).is_kept
    executed = executed_precision(runtime.profile_operators(path, inputs[:1].numpy(), 1, 1))
    assert executed.sparse_layers == ("0",)
    assert misexecuted_layers(finished, executed) == ()


def test_sparse_layers_are_checked_both_ways() -> None:
    finished = identity(PrecisionPlan(sparse=("a", "b")))
    executed = ExecutedPrecision((), ("a", "b", "c"), sparse_layers=("a", "c"))
    assert misexecuted_layers(finished, executed) == ("b", "c")


def test_layers_in_half_precision_are_checked_both_ways() -> None:
    finished = identity(PrecisionPlan(halves={"a": "bf16", "b": "bf16", "c": "fp16", "d": "fp16"}))
    right = ExecutedPrecision((), (), bf16_layers=("a", "b"), fp16_layers=("c", "d"))
    assert misexecuted_layers(finished, right) == ()
    # `b` in float, `c` in the other half, `e` in bf16 on the runtime's own account.
    wrong = ExecutedPrecision((), ("b",), bf16_layers=("a", "c", "e"), fp16_layers=("d",))
    assert misexecuted_layers(finished, wrong) == ("b", "c", "e")
