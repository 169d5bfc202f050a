import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, fx, nn

from parefront.hardware_profiles import ExportError, PrecisionPlan
from parefront.hardware_profiles.runtimes.torch_artefact import export_pt2, load_pt2

from .conftest import LAYERS, Exported, inputs, int8_plan, tiny_network


def test_an_archive_gives_back_the_network_and_its_layers(export: Callable[..., Exported]) -> None:
    exported = export("torch")

    program, layers = load_pt2(exported.path)

    assert layers == LAYERS
    for found, wanted in zip(program.module()(inputs(3)), exported.module(inputs(3)), strict=True):
        assert torch.equal(found, wanted)


def test_the_network_is_left_as_it_is(tmp_path: Path) -> None:
    module = tiny_network().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}

    export_pt2(module, (inputs(1),), PrecisionPlan(halves={"conv1": "bf16"}), tmp_path / "model.pt2")

    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_an_archive_holds_neither_inputs_nor_places_of_this_machine(export: Callable[..., Exported]) -> None:
    with zipfile.ZipFile(export("torch").path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}

    # Sixteen filters of 3x3x3, sixteen of 3x3x16, five of 16, and the biases, in float32.
    n_bytes = 4 * (16 * 27 + 16 + 16 * 144 + 16 + 5 * 16 + 5)
    assert sum(len(content) for name, content in contents.items() if "/weights/weight_" in name) == n_bytes
    assert not any(content for name, content in contents.items() if "sample_inputs" in name)
    assert not any(str(Path(torch.__file__).parent).encode() in content for content in contents.values())


def test_of_a_weight_that_is_part_of_a_larger_one_the_part_is_stored(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(64, 64, bias=False))
    module[0].weight = nn.Parameter(module[0].weight.detach()[:4, ::2])

    export_pt2(module, (torch.zeros(2, 32),), PrecisionPlan.none(), tmp_path / "model.pt2")

    with zipfile.ZipFile(tmp_path / "model.pt2") as archive:
        (size,) = (part.file_size for part in archive.infolist() if "/weights/weight_" in part.filename)
    assert size == 4 * 4 * 32


def test_layers_in_integers_are_refused(tmp_path: Path) -> None:
    module = tiny_network()
    with pytest.raises(ExportError, match="PyTorch must be given layers in float, got 2 in int8 and 0 with weights"):
        export_pt2(module, (inputs(2),), int8_plan(module), tmp_path / "model.pt2")


def test_a_network_that_cannot_be_exported_is_named(tmp_path: Path) -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ExportError, match="the network must be exportable by PyTorch, got "):
        export_pt2(Branching(), (inputs(2),), PrecisionPlan.none(), tmp_path / "model.pt2")


def test_sizes_that_depend_on_the_batch_stay_free(tmp_path: Path) -> None:
    class Folding(nn.Module):
        """Puts the channels into the batch, as attention does with its heads, and takes them out again."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(1, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            n, c, h, w = x.shape
            folded = self.layer(x.reshape(n * c, 1, h, w))
            return folded.reshape(n, c * 2 * h * w)

    module = fx.symbolic_trace(Folding())
    export_pt2(module, (inputs(2),), PrecisionPlan.none(), tmp_path / "model.pt2")

    program, layers = load_pt2(tmp_path / "model.pt2")

    assert layers == ("layer",)
    assert torch.equal(program.module()(inputs(5)), module(inputs(5)))
