from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from parefront.hardware_profiles import PrecisionPlan, ProfileError, check_runtime, get_runtime
from parefront.hardware_profiles.runtimes import torch_cuda

from .conftest import Exported, inputs, tiny_network


def test_a_missing_gpu_is_named_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ProfileError, match="'torch-cuda' must have a GPU that PyTorch can use, got none"):
        check_runtime("torch-cuda")
    with pytest.raises(ProfileError, match="must have a GPU"):
        get_runtime("torch-cuda").open_session(Path("model.pt2"), 1)


def test_writing_needs_no_gpu_and_the_cpu_reads_it(tmp_path: Path) -> None:
    module, path = tiny_network(), tmp_path / "model.pt2"
    get_runtime("torch-cuda").export(module, (inputs(2),), PrecisionPlan.none(), path)
    found = get_runtime("torch").open_session(path, 1).run(inputs(3).numpy())
    np.testing.assert_array_equal(found, module(inputs(3))[0].detach().numpy())


@pytest.fixture
def flags() -> Iterator[None]:
    """Puts PyTorch's switches back behind the test."""
    places = ((torch.backends.cuda.matmul, "allow_tf32"), (torch.backends.cudnn, "allow_tf32"))
    before = [(place, name, getattr(place, name)) for place, name in (*places, (torch.backends.cudnn, "benchmark"))]
    yield
    for place, name, value in before:
        setattr(place, name, value)


@pytest.mark.usefixtures("flags")
def test_fp32_is_not_shortened_in_silence(monkeypatch: pytest.MonkeyPatch, export: Callable[..., Exported]) -> None:
    """The way onto a device, on the one that is always there."""
    program = torch_cuda.load_pt2(export("torch").path)[0]
    monkeypatch.setattr(torch_cuda, "_DEVICE", "cpu")

    moved = torch_cuda._on_device(program)

    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32
    assert torch.equal(moved.module()(inputs(1))[0], program.module()(inputs(1))[0])
