from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from parefront.hardware_profiles import MeasurementError, PrecisionPlan, executed_precision, get_runtime
from parefront.hardware_profiles.runtimes.onnxruntime_cpu import layer_of

RUNTIME = get_runtime("onnxruntime")


@pytest.fixture
def exported(tmp_path: Path) -> tuple[nn.Module, Path]:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 6 * 6, 5), nn.ReLU()).eval()
    RUNTIME.export(module, (torch.zeros(2, 3, 8, 8),), PrecisionPlan.none(), tmp_path / "model.onnx")
    return module, tmp_path / "model.onnx"


def test_a_session_computes_what_torch_does_at_any_batch_size(exported: tuple[nn.Module, Path]) -> None:
    module, path = exported
    session = RUNTIME.open_session(path, threads=1)

    assert session.input_shape == (None, 3, 8, 8)
    for batch in (1, 3):
        inputs = torch.randn(batch, 3, 8, 8)
        np.testing.assert_allclose(session.run(inputs.numpy()), module(inputs).detach().numpy(), atol=1e-6)


def test_operators_are_timed_in_order_and_attributed_to_layers(exported: tuple[nn.Module, Path]) -> None:
    times = RUNTIME.profile_operators(exported[1], np.zeros((1, 3, 8, 8), np.float32), threads=1, repeats=3)

    layers = [time.layer for time in times if time.layer is not None]
    assert layers == ["0", "3"]
    assert all(time.microseconds >= 0 for time in times)
    assert not any(time.is_int8 for time in times)
    assert executed_precision(times).float_layers == ("0", "3")


@pytest.mark.parametrize(
    ("event", "layer"),
    [
        ("conv1", "conv1"),
        ("conv1_token_4", "conv1"),
        ("conv1/activation_nchwc", "conv1"),
        ("conv1_2/output_nchwc", "conv1_2"),
        ("fused fc", "fc"),
        ("conv10", None),
        ("conv1.0", None),
        ("ReorderOutput_token_1", None),
    ],
)
def test_optimised_nodes_are_found_by_the_longest_layer_name(event: str, layer: str | None) -> None:
    assert layer_of(event, ["conv1", "conv1_2", "fc"]) == layer


def test_unusable_files_and_repeats_are_refused(exported: tuple[nn.Module, Path], tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    with pytest.raises(MeasurementError, match=r"must be able to load bad\.onnx"):
        RUNTIME.open_session(tmp_path / "bad.onnx", threads=1)
    with pytest.raises(MeasurementError, match="repeats must be at least 1, got 0"):
        RUNTIME.profile_operators(exported[1], np.zeros((1, 3, 8, 8), np.float32), threads=1, repeats=0)


def test_every_input_must_be_given_in_its_own_type(tmp_path: Path) -> None:
    class Lookup(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(4, 3)

        def forward(self, index: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.table(index) + x
            return out

    inputs = (torch.zeros(2, 5, dtype=torch.int64), torch.zeros(2, 5, 3))
    RUNTIME.export(Lookup(), inputs, PrecisionPlan.none(), tmp_path / "model.onnx")
    session = RUNTIME.open_session(tmp_path / "model.onnx", threads=1)

    zeros = session.zeros(4)

    assert [(each.shape, each.dtype.name) for each in zeros] == [((4, 5), "int64"), ((4, 5, 3), "float32")]
    assert session.run(zeros).shape == (4, 5, 3)
    assert RUNTIME.profile_operators(tmp_path / "model.onnx", zeros, 1, 2)
    with pytest.raises(MeasurementError, match=r"each of its 2 inputs \(input, input_1\), got 1: give one array"):
        session.run(zeros[0])
