"""Random legal configurations with layers in half precision: what torch simulates is what OpenVINO executes."""

import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from torch import Tensor, nn

from parefront.evaluators.deploy import check_parity, misexecuted_layers
from parefront.hardware_profiles.precision import PrecisionPlan
from parefront.hardware_profiles.profile import Capabilities
from parefront.hardware_profiles.runtimes import executed_precision, get_runtime
from parefront.spaces import find_space, finish, prepare, trace

pytest.importorskip("openvino", reason="only OpenVINO executes half precision on a CPU")

WIDTHS = {
    "one half": Capabilities(weight_bits=(32, "bf16")),
    "both halves": Capabilities(weight_bits=(32, "bf16", "fp16")),
    "halves and int8": Capabilities(weight_bits=(32, "bf16", "fp16", 8)),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["residual", "shared-activation"])
@pytest.mark.parametrize("widths", WIDTHS)
def test_torch_and_openvino_agree(
    widths: str,
    kind: str,
    seed: int,
    build: Callable[[str], nn.Module],
    images: Tensor,
    tmp_path: Path,
    needs_halves: Callable[[Iterable[object]], None],
) -> None:
    network = trace(build(kind), images[:2])
    space = find_space(network, WIDTHS[widths])
    generator = random.Random(seed)
    choices = {
        site.name: generator.choice(site.choices[1:])
        for site in space.sites
        if generator.random() < (0.8 if site.technique == "bits" else 0.3)
    }
    configuration = space.canonical(choices)
    needs_halves(configuration.values())
    finished = finish(prepare(network, configuration), configuration, images)
    assert finished.plan.halves
    runtime, path = get_runtime("openvino"), tmp_path / "model.onnx"
    runtime.export(finished.module, (images[:2],), finished.plan, path)
    parity = check_parity(finished, runtime.open_session(path, 1), images)
    assert parity.is_kept, parity
    executed = executed_precision(runtime.profile_operators(path, images[:1].numpy(), 1, repeats=1))
    wrong = misexecuted_layers(finished, executed)
    # OpenVINO moves the stride of a 1x1 convolution in int8 before its rounding where nothing else reads that, and then
    # computes it in float. It is told apart in every trial; here it says nothing about halves.
    assert {layer for layer in wrong if not is_strided_point(finished.module, layer, finished.plan)} == set()


def is_strided_point(module: nn.Module, layer: str, plan: PrecisionPlan) -> bool:
    convolution = module.get_submodule(layer)
    if not isinstance(convolution, nn.Conv2d) or layer not in plan.layers:
        return False
    return convolution.kernel_size == (1, 1) and convolution.stride != (1, 1)
