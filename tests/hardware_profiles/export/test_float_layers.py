from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from parefront.hardware_profiles import load_profile
from parefront.hardware_profiles.runtimes import executed_precision, get_runtime
from parefront.spaces import Configuration, find_space, finish, prepare, simulate, trace

PROFILE = load_profile("cpu-ort-1t")
NETWORKS = {
    # A float layer between int8 ones, read directly, behind a pooling that runs in integers, and flattened.
    "direct": (("0", "4"), "2", (nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))),
    "pooled": (("0", "5"), "3", (nn.Conv2d(8, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 1), nn.ReLU())),
    "flattened": (("0", "5"), "3", (nn.Conv2d(8, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 16), nn.ReLU())),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_float_layer_between_int8_layers_is_executed_in_float(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    in_int8, in_float, layers = NETWORKS[kind]
    last = () if kind == "direct" else (nn.Conv2d(8, 8, 1) if kind == "pooled" else nn.Linear(16, 8),)
    images = torch.randn(8, 8, 12, 12)
    network = trace(nn.Sequential(*layers, *last, nn.Identity()).eval(), images[:2])
    configuration = find_space(network, PROFILE.capabilities).canonical({f"bits/{name}": 8 for name in in_int8})
    finished = finish(prepare(network, configuration), configuration, images)
    assert set(finished.plan.layers) == set(in_int8)
    runtime, path = get_runtime(PROFILE.runtime.name), tmp_path / "model.onnx"
    runtime.export(finished.module, (images[:2],), finished.plan, path)
    executed = executed_precision(runtime.profile_operators(path, images[:1].numpy(), 1, repeats=1))
    assert set(executed.int8_layers) == set(in_int8)
    assert in_float in executed.float_layers
    with torch.no_grad():
        expected = simulate(finished.module, finished.plan)(images)
    actual = torch.from_numpy(runtime.open_session(path, 1).run(images.numpy()))
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_a_network_without_integers_is_left_as_it_is(tmp_path: Path) -> None:
    module, path = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)).eval(), tmp_path / "model.onnx"
    network = trace(module, torch.zeros(2, 3, 8, 8))
    neutral = Configuration()
    finished = finish(prepare(network, neutral), neutral, torch.zeros(2, 3, 8, 8))
    get_runtime(PROFILE.runtime.name).export(finished.module, network.example_inputs, finished.plan, path)
    assert {node.op_type for node in onnx.load(path).graph.node} == {"Conv", "Relu"}
