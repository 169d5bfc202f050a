import copy
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from parefront.evaluators.packed_network import NETWORK
from parefront.hardware_profiles.errors import PackingError
from parefront.packing import pack, unpack
from parefront.results import load, rebuild_packed
from parefront.results.export_source import Source
from parefront.results.load import ResultsError
from parefront.results.packed_file import write_packed
from parefront.results.pick import choose
from parefront.tasks import Task


@pytest.fixture
def packed(exported: Path, tmp_path: Path) -> Path:
    """The exported file somewhere else."""
    return Path(shutil.copy(exported / "model.pare", tmp_path / "model.pare"))


def test_the_file_is_the_network_and_the_smallest_there_is(
    packed: Path, exported: Path, finished_run: Any, tiny_task: Task
) -> None:
    run = load(finished_run.directory.root)
    source = Source(run, choose(run, "fastest"), tiny_task)
    inputs = source.kept.inputs
    with torch.no_grad():
        assert torch.equal(rebuild_packed(packed, tiny_task)(inputs), source.kept.outputs)
        assert rebuild_packed(packed, tiny_task, rounds=False)(inputs).shape == source.kept.outputs.shape
    others = [exported / "model.onnx", exported / "model.pt2", exported / "model" / "weights.npz"]
    assert packed.stat().st_size < min(path.stat().st_size for path in others)
    facts = unpack(packed.read_bytes()).facts
    assert facts["configuration"] == dict(source.member.configuration)
    assert json.loads(json.dumps(facts)) == facts


def test_a_damaged_file_is_one_line(packed: Path, tiny_task: Task) -> None:
    content = packed.read_bytes()
    packed.write_bytes(content[:-100])
    with pytest.raises(PackingError, match=r"model\.pare cannot be read: ") as refused:
        rebuild_packed(packed, tiny_task)
    assert "\n" not in str(refused.value)
    packed.unlink()
    with pytest.raises(ResultsError, match=r"model\.pare must be as it was exported, but: FileNotFoundError"):
        rebuild_packed(packed, tiny_task)


@pytest.mark.parametrize(
    "facts",
    [
        {"schema": 2},
        {"configuration": {"prune/stem": [1]}},
        {"input_type": "object of mine"},
        {"input_shape": [-1]},
        {"input_shape": [1 << 40, 1 << 40]},
    ],
)
def test_facts_of_another_kind_are_refused(packed: Path, tiny_task: Task, facts: dict[str, Any]) -> None:
    content = unpack(packed.read_bytes())
    packed.write_bytes(pack(content.tensors, {**content.facts, **facts}))
    with pytest.raises(ResultsError, match=r"model\.pare must be as it was exported, but: "):
        rebuild_packed(packed, tiny_task)


def test_tensors_that_do_not_fit_together_are_refused(packed: Path, tiny_task: Task) -> None:
    content = unpack(packed.read_bytes())
    packed.write_bytes(pack({**content.tensors, "stem.bias": torch.zeros(3)}, content.facts))
    with pytest.raises(ResultsError, match=r"model\.pare must be as it was exported, but: RuntimeError: "):
        rebuild_packed(packed, tiny_task)


def test_only_sizes_can_be_set(packed: Path, tiny_task: Task) -> None:
    content = unpack(packed.read_bytes())
    network = content.facts[NETWORK]
    sizes = {**network["sizes"], "": {"forward": 1, "training": 1}}
    packed.write_bytes(pack(content.tensors, {**content.facts, NETWORK: {**network, "sizes": sizes}}))
    assert callable(rebuild_packed(packed, tiny_task).forward)


def test_a_file_that_gives_other_outputs_is_not_written(
    finished_run: Any, tiny_task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = load(finished_run.directory.root)
    source = Source(run, choose(run, "fastest"), tiny_task)
    module = copy.deepcopy(source.finished.module)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1.5)
    other = dataclasses.replace(source.finished, module=module)
    monkeypatch.setattr("parefront.results.packed_file._finished", lambda path, task: other)
    with pytest.raises(ResultsError, match=r"model\.pare must give the outputs of the network .* to the last bit"):
        write_packed(source, tmp_path / "model.pare")
