from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from parefront.hardware_profiles import PrecisionPlan, ProfileError, check_runtime, get_runtime
from parefront.hardware_profiles.runtimes import onnx_session
from parefront.hardware_profiles.runtimes.onnxruntime_cuda import OnnxDeviceSession

from .conftest import Exported, inputs

AVAILABLE = ["CUDAExecutionProvider", "CPUExecutionProvider"]


def test_a_build_without_cuda_is_named_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(
        ProfileError, match="must have ONNX Runtime's CUDAExecutionProvider, got CPUExecutionProvider: pip install"
    ):
        check_runtime("onnxruntime-cuda")


def test_the_gpu_is_asked_for_first_and_without_tf32(
    monkeypatch: pytest.MonkeyPatch, export: Callable[..., Exported]
) -> None:
    path, asked = export("onnxruntime").path, []
    real = onnxruntime.InferenceSession

    def fake(path: str, options: Any, providers: list[Any]) -> Any:
        asked.extend(providers)
        return real(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: AVAILABLE)
    monkeypatch.setattr(onnx_session.onnxruntime, "InferenceSession", fake)

    # Without a GPU, ONNX Runtime goes on with the CPU and says nothing.
    with pytest.raises(ProfileError, match="must have a GPU that ONNX Runtime can use, got CPUExecutionProvider"):
        get_runtime("onnxruntime-cuda").open_session(path, 1)
    (name, options), fallback = asked
    assert (name, options["use_tf32"], fallback) == ("CUDAExecutionProvider", "0", "CPUExecutionProvider")


def test_inputs_and_outputs_are_bound_to_the_device(export: Callable[..., Exported]) -> None:
    exported = export("onnxruntime")
    session = OnnxDeviceSession(onnxruntime.InferenceSession(str(exported.path)), device="cpu")

    found = session.run_all(inputs(3).numpy())

    for each, wanted in zip(found, exported.module(inputs(3)), strict=True):
        np.testing.assert_array_equal(each, wanted.detach().numpy())
    assert session.run(inputs(3).numpy()).shape == (3, 5)


def test_writing_needs_no_gpu(export: Callable[..., Exported], tmp_path: Path) -> None:
    module = export("onnxruntime").module
    get_runtime("onnxruntime-cuda").export(module, (inputs(2),), PrecisionPlan.none(), tmp_path / "model.onnx")
    assert get_runtime("onnxruntime").open_session(tmp_path / "model.onnx", 1).input_shape == (None, 3, 8, 8)
