import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from parefront.results import rebuild
from parefront.results.load import ResultsError
from parefront.results.probe import Probe
from parefront.tasks import Task


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """The exported folder somewhere else."""
    return Path(shutil.copytree(exported / "model", tmp_path / "model"))


def test_the_network_comes_back_from_arrays_and_a_recipe(folder: Path, tiny_task: Task) -> None:
    probe = Probe.read(folder / "probe.npz")
    inputs = torch.from_numpy(probe.inputs)
    with torch.no_grad():
        assert np.array_equal(rebuild(folder, tiny_task)(inputs).numpy(), probe.outputs)
        floating = rebuild(folder, tiny_task, rounds=False)
        assert floating(inputs).shape == probe.outputs.shape
    with np.load(folder / "weights.npz", allow_pickle=False) as content:
        assert set(content.files) == set(floating.state_dict())
    assert b"pickle" not in (folder / "weights.npz").read_bytes()


@pytest.mark.parametrize("name", ["weights.npz", "recipe.json", "probe.npz"])
@pytest.mark.parametrize("content", [None, b"", b"nothing"])
def test_a_damaged_folder_is_one_line(folder: Path, tiny_task: Task, name: str, content: bytes | None) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(
        ResultsError, match=rf"{name} must be as it was exported, .*: export the model again"
    ) as refused:
        rebuild(folder, tiny_task)
    assert "\n" not in str(refused.value)


def change(folder: Path, **facts: Any) -> None:
    path = folder / "recipe.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


@pytest.mark.parametrize(
    "facts",
    [
        {"schema": 2},
        {"configuration": {"prune/stem": [1]}},
        {"sizes": {"stem": {"groups": "os.system"}}},
        {"input_type": "object of mine"},
    ],
)
def test_a_recipe_of_another_kind_is_refused(folder: Path, tiny_task: Task, facts: dict[str, Any]) -> None:
    change(folder, **facts)
    with pytest.raises(ResultsError, match=r"recipe\.json must be as it was exported, but: "):
        rebuild(folder, tiny_task)


def test_only_sizes_can_be_set(folder: Path, tiny_task: Task) -> None:
    sizes = json.loads((folder / "recipe.json").read_text())["sizes"]
    change(folder, sizes={**sizes, "": {"forward": 1, "training": 1}})
    assert callable(rebuild(folder, tiny_task).forward)


def test_weights_of_another_network_are_found_by_their_outputs(folder: Path, tiny_task: Task) -> None:
    with np.load(folder / "weights.npz", allow_pickle=False) as content:
        state = {name: content[name] for name in content.files}
    name = next(name for name in state if name.endswith("weight"))
    np.savez(folder / "weights.npz", **{**state, name: -state[name]})
    with pytest.raises(ResultsError, match="must give the outputs that were stored with it, but with the task 'tiny' "):
        rebuild(folder, tiny_task)
