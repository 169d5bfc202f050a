"""What every runtime must fulfil; those that cannot run on this machine are skipped with the reason."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from parefront.hardware_profiles import (
    MeasurementError,
    OperatorTime,
    PrecisionPlan,
    Session,
    executed_precision,
    runtime_facts,
    runtime_names,
)
from parefront.hardware_profiles.export.lowering import lower
from parefront.hardware_profiles.runtimes import Bits

from .conftest import LAYERS, SHAPE, Exported, inputs, int8_plan, tiny_network


def marked(name: str) -> Any:
    """A runtime as a parameter; one on a GPU, or that takes long to open, with its mark."""
    facts = runtime_facts(name)
    marks = [pytest.mark.gpu] * (facts.device == "cuda") + [pytest.mark.slow] * facts.is_slow_to_open
    return pytest.param(name, marks=marks)


NAMES = [marked(name) for name in runtime_names()]
SIGNIFICAND = {"bf16": 8, "fp16": 11}
"""Bits of a number's digits, the hidden one among them."""


@dataclass(frozen=True, slots=True)
class Opened:
    exported: Exported
    session: Session

    def profile(self, repeats: int = 2) -> tuple[OperatorTime, ...]:
        return self.exported.runtime.profile_operators(self.exported.path, inputs(1).numpy(), 1, repeats)


@pytest.fixture(scope="module", params=NAMES)
def opened(request: pytest.FixtureRequest, export: Callable[..., Exported]) -> Opened:
    exported = export(request.param)
    return Opened(exported, exported.runtime.open_session(exported.path, 1))


@pytest.mark.parametrize("name", NAMES)
def test_it_calls_itself_by_its_registered_name(name: str, export: Callable[..., Exported]) -> None:
    runtime = export(name).runtime
    assert runtime.name == name
    assert runtime.version[:1].isdigit()


def test_a_session_computes_what_torch_does_at_any_batch_size(opened: Opened) -> None:
    for batch in (1, 3):
        expected = opened.exported.module(inputs(batch))[0].detach().numpy()
        np.testing.assert_array_equal(opened.session.run(inputs(batch).numpy()), expected)


def test_all_outputs_come_in_the_networks_order(opened: Opened) -> None:
    expected = opened.exported.module(inputs(3))

    found = opened.session.run_all(inputs(3).numpy())

    assert [each.shape for each in found] == [(3, 5), (3, 16)]
    for each, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(each, wanted.detach().numpy())


def test_a_session_knows_its_inputs(opened: Opened) -> None:
    assert opened.session.input_shape == (None, *SHAPE)
    (zeros,) = opened.session.zeros(3)
    assert zeros.shape == (3, *SHAPE)
    assert zeros.dtype == np.float32
    assert not zeros.any()


def test_a_result_outlives_the_next_inference(opened: Opened) -> None:
    first = opened.session.run(inputs(1).numpy())
    kept = first.copy()
    opened.session.run(inputs(1, seed=2).numpy())
    np.testing.assert_array_equal(first, kept)


def test_an_input_may_be_write_protected(opened: Opened) -> None:
    array = inputs(1).numpy().copy()
    array.flags.writeable = False
    np.testing.assert_array_equal(opened.session.run(array), opened.session.run(inputs(1).numpy()))


def test_operators_are_attributed_to_layers_in_order(opened: Opened) -> None:
    times = opened.profile()

    layers = [time.layer for time in times if time.precision and time.layer]
    assert layers == list(LAYERS)
    assert all(time.microseconds >= 0 for time in times)
    assert executed_precision(times).float_layers == LAYERS


def test_the_number_of_inputs_is_checked(opened: Opened) -> None:
    array = inputs(1).numpy()
    with pytest.raises(MeasurementError, match=r"each of its 1 inputs \(\w+\), got 2: give one array for each"):
        opened.session.run((array, array))


def test_repeats_are_checked(opened: Opened) -> None:
    with pytest.raises(MeasurementError, match="repeats must be at least 1, got 0"):
        opened.profile(repeats=0)


@pytest.mark.parametrize("content", [b"", b"nothing", None])
def test_unusable_files_are_refused(opened: Opened, content: bytes | None) -> None:
    whole = opened.exported.path.read_bytes()
    path = opened.exported.path.with_name(f"bad{opened.exported.path.suffix}")
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)  # None: cut short
    with pytest.raises(MeasurementError, match=r"bad\.(onnx|pt2).*: export it again"):
        opened.exported.runtime.open_session(path, 1).run(inputs(1).numpy())


def executing(bits: Bits) -> list[Any]:
    return [marked(name) for name in runtime_names() if bits in runtime_facts(name).weight_bits]


@pytest.mark.parametrize("name", executing("bf16"))
def test_layers_in_bf16_are_executed_so(
    name: str, export: Callable[..., Exported], needs_halves: Callable[[Iterable[object]], None]
) -> None:
    needs_halves(["bf16"])
    check_half(export(name, PrecisionPlan(halves={"conv2": "bf16"})), "bf16")


@pytest.mark.parametrize("name", executing("fp16"))
def test_layers_in_fp16_are_executed_so(
    name: str, export: Callable[..., Exported], needs_halves: Callable[[Iterable[object]], None]
) -> None:
    needs_halves(["fp16"])
    check_half(export(name, PrecisionPlan(halves={"conv2": "fp16"})), "fp16")


def check_half(exported: Exported, half: str) -> None:
    times = exported.runtime.profile_operators(exported.path, inputs(1).numpy(), 1, 2)
    found = exported.runtime.open_session(exported.path, 1).run(inputs(3).numpy())

    executed = executed_precision(times)
    assert (executed.bf16_layers if half == "bf16" else executed.fp16_layers) == ("conv2",)
    assert executed.float_layers == ("conv1", "fc")
    with torch.no_grad():
        expected = exported.module(inputs(3))[0].numpy()
        largest = float(exported.module.conv2(exported.module.relu(exported.module.conv1(inputs(3)))).abs().max())
    # What conv2 reads is exact in the type; what it gives is rounded, and passes 16 weights of at most 1/8.
    np.testing.assert_allclose(found, expected, atol=16 / 8 * largest * 2.0 ** -SIGNIFICAND[half])


@pytest.mark.parametrize("name", executing(8))
def test_layers_in_int8_are_executed_so(name: str, export: Callable[..., Exported]) -> None:
    module = tiny_network()
    plan = int8_plan(module)
    exported = export(name, plan, module)

    times = exported.runtime.profile_operators(exported.path, inputs(1).numpy(), 1, 2)
    found = exported.runtime.open_session(exported.path, 1).run_all(inputs(3).numpy())[1]

    executed = executed_precision(times)
    assert executed.int8_layers == ("conv1", "conv2")
    assert executed.float_layers == ("fc",)
    with torch.no_grad():
        expected = lower(module, plan)(inputs(3))[1].numpy()
    # A value at a rounding boundary may fall either way, in conv2 and in the sum behind it.
    np.testing.assert_allclose(found, expected, atol=(8 + 8) / 255 + 1e-6)
