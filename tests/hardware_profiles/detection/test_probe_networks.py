"""The networks a machine is tried out with, and that their plans execute in full."""

from pathlib import Path

import pytest
import torch

from parefront.hardware_profiles import executed_precision, get_runtime
from parefront.hardware_profiles.detection.probe_networks import PROBE_NAMES, probe_network, probe_plan, width_network
from parefront.hardware_profiles.runtimes import Bits


@pytest.mark.parametrize("name", PROBE_NAMES)
def test_a_network_is_the_same_each_time(name: str) -> None:
    (first, inputs), (second, again) = probe_network(name), probe_network(name)
    assert torch.equal(inputs[0], again[0])
    assert first(*inputs).shape == (1, 10)
    assert torch.equal(first(*inputs), second(*inputs))


def test_the_random_state_of_others_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    probe_network("residual")
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", PROBE_NAMES)
def test_a_plan_of_int8_is_executed_in_every_layer(name: str, tmp_path: Path) -> None:
    module, inputs = probe_network(name)
    plan = probe_plan(module, inputs, 8)
    runtime = get_runtime("onnxruntime")
    runtime.export(module, inputs, plan, tmp_path / "model.onnx")
    arrays = tuple(value.numpy() for value in inputs)
    executed = executed_precision(runtime.profile_operators(tmp_path / "model.onnx", arrays, 1, 1))
    assert sorted(executed.int8_layers) == list(plan.layers)
    assert executed.float_layers == ()


@pytest.mark.parametrize("bits", ["bf16", "fp16"])
def test_a_plan_of_halves_names_every_layer(bits: Bits) -> None:
    module, inputs = probe_network("residual")
    assert set(probe_plan(module, inputs, bits).halves) == {
        *("stem", "conv1", "conv2", "down", "conv3", "conv4", "classifier")
    }
    assert set(probe_plan(module, inputs, bits).halves.values()) == {bits}


def test_a_plan_of_float_is_neutral() -> None:
    module, inputs = probe_network("residual")
    assert probe_plan(module, inputs, 32).is_neutral


@pytest.mark.parametrize("width", [33, 64])
def test_a_network_of_any_width_keeps_its_outside(width: int, tmp_path: Path) -> None:
    module, inputs = width_network(width)
    assert module(*inputs).shape == inputs[0].shape == (1, 16, 14, 14)
    # 16 x w, three times w x w x 9, w x 16, and a bias for each output channel.
    n_parameters = 16 * width + 3 * 9 * width**2 + 16 * width + 4 * width + 16
    assert sum(parameter.numel() for parameter in module.parameters()) == n_parameters
    get_runtime("onnxruntime").export(module, inputs, probe_plan(module, inputs, 8), tmp_path / "model.onnx")
