from pathlib import Path

import pytest
import torch
from torch import nn

from parefront.hardware_profiles import MeasurementError, PrecisionPlan, executed_precision, get_runtime
from parefront.hardware_profiles.runtimes.onnx_session import session_options

RUNTIME = get_runtime("onnxruntime")


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


@pytest.mark.parametrize(
    "activation", [nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(), nn.Sigmoid(), nn.Hardsigmoid(), nn.Tanh()]
)
def test_a_layer_is_found_with_the_activation_that_is_fused_into_it(activation: nn.Module, tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(16, 16, 1), activation, nn.Flatten(), nn.Linear(256, 3)).eval()
    x = torch.zeros(1, 16, 4, 4)
    RUNTIME.export(module, (x,), PrecisionPlan.none(), tmp_path / "model.onnx")

    times = RUNTIME.profile_operators(tmp_path / "model.onnx", x.numpy(), 1, 1)

    assert executed_precision(times).float_layers == ("0", "3")


def test_threads_do_not_spin_between_inferences() -> None:
    options = session_options(2)
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"
