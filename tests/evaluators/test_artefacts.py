from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from parefront.evaluators import artefacts as module
from parefront.evaluators.artefacts import Artefacts
from parefront.hardware_profiles import ExportError, HardwareProfile, PrecisionPlan, load_profile
from parefront.hardware_profiles.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from parefront.spaces import Finished, trace


def finished() -> Finished:
    module = trace(nn.Sequential(nn.Linear(3, 2)).eval(), torch.zeros(2, 3)).module
    return Finished(module, PrecisionPlan.none())


def test_a_network_is_written_and_read_under_its_name(tmp_path: Path) -> None:
    artefacts = Artefacts(tmp_path / "new", load_profile("cpu-ort-1t"))
    path = artefacts.path("trial-1")
    network = finished()
    artefacts.export(network, (torch.zeros(4, 3),), path)

    assert path == tmp_path / "new" / "trial-1.onnx"
    inputs = torch.tensor([[1.0, -2.0, 0.5]])
    expected = network.module(inputs).detach().numpy()
    assert artefacts.open(path).run(inputs.numpy()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("asked", "opened_for"), [(3, 3), (None, 5)])
def test_accuracy_takes_this_process_s_threads(
    asked: int | None, opened_for: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the profile's one, and of a worker not those of its neighbours."""
    opened: list[int] = []
    monkeypatch.setattr(module, "available_cores", lambda: tuple(range(5)))
    monkeypatch.setattr(OnnxRuntimeCpu, "open_session", lambda self, path, threads: opened.append(threads))
    Artefacts(tmp_path, load_profile("cpu-ort-1t"), n_threads=asked).open(tmp_path / "x.onnx")
    assert opened == [opened_for]


def test_the_suffix_is_that_of_the_runtime(tmp_path: Path) -> None:
    assert Artefacts(tmp_path, load_profile("cpu-torch")).path("x").name == "x.pt2"


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    artefacts = Artefacts(tmp_path, load_profile("cpu-ort-1t"))
    with pytest.raises(ExportError) as error:
        artefacts.export(finished(), (torch.zeros(2, 5),), artefacts.path("x"))
    assert "\n" not in str(error.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU")
def test_a_file_for_a_gpu_elsewhere_is_read_on_this_processor(tmp_path: Path) -> None:
    profile = HardwareProfile.model_validate({**load_profile("cuda-ort").model_dump(), "host": {"address": "gpu:7000"}})
    artefacts = Artefacts(tmp_path, profile, is_here=False)
    path = artefacts.path("x")
    artefacts.export(finished(), (torch.zeros(2, 3),), path)

    assert artefacts.open(path).run(np.zeros((5, 3), np.float32)).shape == (5, 2)
