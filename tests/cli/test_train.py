"""`parefront train` as a user meets it, and the files that it leaves."""

import json
from pathlib import Path

import pytest
import torch

from parefront.cli.scheduled import read_schedule
from parefront.cli.scheduled_tables import headline, rows
from parefront.cli.train import train
from parefront.evaluators.packed_network import read_network
from parefront.evaluators.scheduled import Outcome
from parefront.hardware_profiles.errors import SearchError, TrainingError
from parefront.results.wording import word_bytes
from parefront.spaces import Configuration
from parefront.tasks import load_task
from parefront.training.layer_rows import matrix_layers
from parefront.training.schedule import stage_recipes
from parefront.training.schedule_hooks import check_stages
from parefront.training.schedule_state import StageReport

TINY_TASK = Path(__file__).parent.parent / "tiny_task.py"
EXAMPLES = Path(__file__).parents[2] / "examples" / "schedules"
SCHEDULE = """
structure: {prune/block.conv1: 50%}
training: {n_samples: 128}
stages:
  - name: prune
    prune: {density: {"*": 0.5}}
  - name: share
    share: {bits: {"*": 3, classifier: off}}
"""


@pytest.fixture
def schedule(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(SCHEDULE)
    return path


def test_a_schedule_leaves_a_small_file_and_the_weights(
    schedule: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    train(str(TINY_TASK), schedule, out)
    assert sorted(path.name for path in out.iterdir()) == ["network.pare", "network.pt", "summary.json"]
    summary = json.loads((out / "summary.json").read_text())
    assert [stage["name"] for stage in summary["stages"]] == ["as it was", "trained on", "prune", "share"]
    assert summary["configuration"]["choices"] == {"prune/block.conv1": 8}
    printed = capsys.readouterr().out
    assert f"x smaller: {word_bytes(summary['file_bytes'])} instead of " in printed
    assert f"Written: {out / 'network.pare'}, " in printed
    data = (out / "network.pare").read_bytes()
    assert len(data) == summary["file_bytes"]
    packed = read_network(data)
    assert set(packed.stored) == {"stem", "block.conv1", "block.conv2", "hidden"}
    state = torch.load(out / "network.pt", weights_only=True)
    assert state["block.conv1.weight"].shape == (8, 16, 3, 3)
    assert torch.equal(state["hidden.weight"], packed.stored["hidden"].decode())
    assert int(state["hidden.weight"].count_nonzero()) == 256 * 32 // 2


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("stages: [", SearchError, "must be valid YAML"),
        ("- prune", TrainingError, "must hold a list `stages`, but holds no mapping: write one"),
        ("stage: []", TrainingError, "field 'stages': Field required"),
    ],
)
def test_what_is_no_schedule_is_refused(tmp_path: Path, text: str, kind: type[Exception], message: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(kind, match=message):
        read_schedule(path)


def test_a_stage_that_cannot_be_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("stages: [{name: a, share: {bits: {dense: 4}}}]")
    with pytest.raises(
        TrainingError, match="stage 'a': 'dense' must match a layer, but matches none: layers are stem, "
    ):
        train(str(TINY_TASK), path, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [path]


def test_the_table_says_what_each_stage_brought() -> None:
    stages = (
        StageReport("as it was", "", 98.0, 1.0, 32.0, 40_000),
        StageReport("prune", "prune", 97.5, 0.1, 32.0, 5_000),
    )
    outcome = Outcome(stages, Configuration(), 1_000, 97.25, 97.0, 97.5)
    assert headline(outcome) == (
        "40.0x smaller: 1.0 kB instead of 40.0 kB; test accuracy 97.00 %, -0.50 pt against the better of the "
        "uncompressed ones"
    )
    assert rows(outcome) == [
        ("as it was", "", "98.00", "100.0%", "32.0", "40.0 kB"),
        ("prune", "prune", "97.50", "10.0%", "32.0", "5.0 kB"),
        ("as a file", "", "97.25", "", "", "1.0 kB"),
    ]


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.iterdir()))
def test_the_examples_fit_the_built_in_task(name: str) -> None:
    task, schedule = load_task("cluttered-digits"), read_schedule(EXAMPLES / name)
    check_stages(schedule, list(matrix_layers(task.build_network())))
    assert len(stage_recipes(schedule, task.full_recipe)) == len(schedule.stages)
