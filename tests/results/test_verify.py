import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parefront.hardware_profiles.errors import ParefrontError
from parefront.results.card_file import file_facts
from parefront.results.load import ResultsError
from parefront.results.probe import Probe
from parefront.results.verify import verify
from parefront.tasks import Task, load_task


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    """The exported files somewhere else."""
    return Path(shutil.copytree(exported, tmp_path / "elsewhere"))


def change_card(model: Path, **facts: Any) -> None:
    path = model.with_name(f"{model.name}.card.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


@pytest.mark.parametrize("name", ["model.onnx", "model.pt2", "model.xml", "model.pare", "model"])
def test_a_model_is_itself_elsewhere(copy: Path, name: str, tiny_task: Task) -> None:
    line = verify(copy / name, tiny_task if name in ("model", "model.pare") else None)
    n_files = 2 if name in ("model.onnx", "model.pt2", "model.pare") else 3
    assert line.startswith(f"{copy / name}: verified; {n_files} files as exported; outputs differ by ")


@pytest.mark.parametrize(
    "name", ["model.onnx", "model.onnx.probe.npz", "model.pt2", "model.xml", "model.bin", "model.pare"]
)
def test_a_flipped_bit_is_found(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(bytes(content))
    model = copy / {"model.bin": "model.xml"}.get(name, name.removesuffix(".probe.npz"))
    size = len(content)
    with pytest.raises(ResultsError, match=rf"{name} must be as it was exported \({size} bytes, .*: copy it again"):
        verify(model)


def test_other_outputs_are_found_though_the_files_are_whole(copy: Path) -> None:
    model, path = copy / "model.onnx", copy / "model.onnx.probe.npz"
    probe = Probe.read(path)
    Probe(probe.inputs, np.roll(probe.outputs, 1, axis=0)).write(path)
    files = {name: file_facts(copy / name).model_dump() for name in ("model.onnx", path.name)}
    change_card(model, files=files)
    with pytest.raises(ResultsError, match=r"model\.onnx must give the outputs that were stored .* do not use it here"):
        verify(model)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("model.onnx", "a model to check must exist, got "),
        ("model.onnx.card.json", r"a model is checked by the card beside it, but .*model\.onnx\.card\.json is missing"),
        ("model.onnx.probe.npz", r"model\.onnx\.probe\.npz belongs to the model, but is missing in .*: bring it along"),
    ],
)
def test_what_is_missing_is_named(copy: Path, missing: str, message: str) -> None:
    (copy / missing).unlink()
    with pytest.raises(ResultsError, match=message):
        verify(copy / "model.onnx")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"schema": 2}, r"must be a card of schema 1, got a mistake at schema"),
        ({"parity": {"tolerance": 5}}, r"got a mistake at parity\.tolerance"),
        ({"files": {"../model.onnx": {"sha256": "", "bytes": 1}}}, r"but model\.onnx is not in it: export it again"),
        ({"format": "keras"}, "one of the formats onnx, torch, openvino, pare, weights, got 'keras'"),
        ({"runtime": "tvm"}, "unknown runtime 'tvm'"),
    ],
)
def test_a_card_that_is_none_of_ours_is_refused(copy: Path, facts: dict[str, Any], message: str) -> None:
    change_card(copy / "model.onnx", **facts)
    with pytest.raises(ParefrontError, match=message) as refused:
        verify(copy / "model.onnx")
    assert "\n" not in str(refused.value)


def test_a_card_names_no_file_elsewhere(copy: Path) -> None:
    card = json.loads((copy / "model.onnx.card.json").read_text())
    change_card(copy / "model.onnx", files={**card["files"], "../secret": {"sha256": "", "bytes": 1}})
    with pytest.raises(ResultsError, match=r"a card must name files beside it, got '\.\./secret'"):
        verify(copy / "model.onnx")


@pytest.mark.parametrize("text", ["", "{", "[]", "\0"])
def test_a_corrupt_card_is_one_line(copy: Path, text: str) -> None:
    (copy / "model.onnx.card.json").write_text(text)
    with pytest.raises(ResultsError, match="must be a card of schema 1, got a mistake at ") as refused:
        verify(copy / "model.onnx")
    assert "\n" not in str(refused.value)


def test_weights_need_their_task(copy: Path) -> None:
    with pytest.raises(ResultsError, match=r"the network is built from its task, .*: add --task"):
        verify(copy / "model")
    with pytest.raises(ParefrontError, match="the weights must be those of the task's network"):
        verify(copy / "model", load_task("digits"))
