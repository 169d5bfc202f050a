import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import fx, nn

from parefront.hardware_profiles import (
    PrecisionPlan,
    ProfileError,
    TensorQuantization,
    executed_precision,
    get_runtime,
    runtimes,
)

from .conftest import Exported, inputs, int8_plan, tiny_network

openvino = pytest.importorskip("openvino", reason="OpenVINO is an extra: pip install 'parefront[openvino]'")


def property_of(session: Any, name: str) -> Any:
    """What the compiled network says about itself."""
    session.run(inputs(1).numpy())
    (request,) = session._requests.values()
    return request.get_compiled_model().get_property(name)


def test_precision_threads_and_streams_are_pinned(export: Callable[..., Exported]) -> None:
    exported = export("openvino")
    session = exported.runtime.open_session(exported.path, 1)

    # Its default where the processor has bf16 is bf16, for every layer.
    assert property_of(session, "INFERENCE_PRECISION_HINT").to_string() == "dynamic"
    assert property_of(session, "INFERENCE_NUM_THREADS") == 1
    assert property_of(session, "NUM_STREAMS") == 1
    assert property_of(session, "ENABLE_CPU_PINNING") is False


def test_it_is_compiled_for_each_shape_and_the_last_two_are_kept(export: Callable[..., Exported]) -> None:
    exported = export("openvino")
    session: Any = exported.runtime.open_session(exported.path, 1)

    for batch in (1, 2, 1, 3):
        assert session.run(inputs(batch).numpy()).shape == (batch, 5)

    assert list(session._requests) == [((1, 3, 8, 8),), ((3, 3, 8, 8),)]


def test_it_agrees_with_onnx_runtime_on_the_same_int8_file(export: Callable[..., Exported]) -> None:
    module = tiny_network()
    exported = export("openvino", int8_plan(module), module)

    found = exported.runtime.open_session(exported.path, 1).run(inputs(8).numpy())
    other = get_runtime("onnxruntime").open_session(exported.path, 1).run(inputs(8).numpy())

    # A step of conv2's scale (8/255) and one of the sum's, through 16 weights of at most 1/8.
    np.testing.assert_allclose(found, other, atol=16 / 8 * (8 + 8) / 255)


@pytest.mark.parametrize("bits", [8, 4])
def test_weights_alone_in_few_bits_are_executed_so(bits: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3))
    half = 1 << (bits - 1)
    with torch.no_grad():
        module[0].weight.copy_(torch.randint(-half, half, (8, 64)))
    weight = TensorQuantization(bits, (1.0,) * 16, (0,), axis=0, is_signed=True, block_size=32)
    runtime, path = get_runtime("openvino"), tmp_path / "model.onnx"
    runtime.export(fx.symbolic_trace(module), (torch.zeros(2, 64),), PrecisionPlan({"0.weight": weight}), path)
    # Its groups of 32 inputs are rounded to 8 bits of the group's largest, here exactly.
    x = torch.randn(3, 64).sign()

    executed = executed_precision(runtime.profile_operators(path, x.numpy(), 1, 2))

    assert executed.weight_only_layers == ("0",)
    # The last layer's node has the output's name, so it is found by its weight.
    assert executed.float_layers == ("2",)
    found = runtime.open_session(path, 1).run(x.numpy())
    np.testing.assert_allclose(found, module(x).detach().numpy(), rtol=1e-4, atol=1e-3)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, f"{runtimes.__name__}.openvino_cpu", raising=False)
    with pytest.raises(ProfileError, match=r"'openvino' is missing: pip install 'parefront\[openvino\]'"):
        get_runtime("openvino")
