import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from parefront.hardware_profiles import MeasurementError
from parefront.hardware_profiles.errors import ExportError, ProfileError
from parefront.results import Run, load, rebuild, rebuild_packed
from parefront.results.export import export_member
from parefront.results.load import ResultsError
from parefront.results.pick import choose
from parefront.results.probe import Probe
from parefront.results.sessions import open_file
from parefront.results.verify import verify
from parefront.tasks import Task


def test_everything_lies_beside_the_model(exported: Path) -> None:
    beside = ("", ".card.json", ".card.md", ".probe.npz")
    files = {f"model.{suffix}{kind}" for suffix in ("onnx", "pt2", "xml", "pare") for kind in beside}
    assert {path.name for path in exported.iterdir()} == {*files, "model.bin", "model"}
    inside = {"weights.npz", "recipe.json", "card.json", "card.md", "probe.npz"}
    assert {path.name for path in (exported / "model").iterdir()} == inside


def test_all_formats_give_the_outputs_of_the_run_s_own_file(exported: Path, finished_run: Any, tiny_task: Task) -> None:
    run = load(finished_run.directory.root)
    source = run.artefact(choose(run, "fastest"))
    assert source is not None
    assert (exported / "model.onnx").read_bytes() == source.read_bytes()
    inputs = tiny_task.load_data().validation.inputs[:32]
    expected = open_file(source, "onnxruntime")(inputs.numpy())
    with torch.no_grad():
        found = {
            "torch": torch.export.load(exported / "model.pt2").module()(inputs).numpy(),
            "weights": rebuild(exported / "model", tiny_task)(inputs).numpy(),
            "pare": rebuild_packed(exported / "model.pare", tiny_task)(inputs).numpy(),
            "openvino": open_file(exported / "model.xml", "openvino")(inputs.numpy()),
        }
    for name, outputs in found.items():
        error = float(np.sqrt(((outputs - expected) ** 2).mean()) / expected.std())
        assert error < 0.1, name
        assert (outputs.argmax(1) == expected.argmax(1)).mean() > 0.9, name
    # The probe holds the validation samples themselves.
    assert np.array_equal(Probe.read(exported / "model.pt2.probe.npz").inputs, inputs.numpy())


def test_the_line_says_what_was_measured(finished_run: Any, tiny_task: Task, tmp_path: Path) -> None:
    run = load(finished_run.directory.root)
    member = choose(run, "knee")
    line = export_member(run, "knee", tmp_path / "new" / "model.onnx")
    assert line.startswith(
        f"{tmp_path / 'new' / 'model.onnx'}: #{member.number}, {member.value('latency_ms'):.3f} ms, "
    )
    assert "; reloaded and checked: outputs differ by " in line
    line = export_member(run, "knee", tmp_path / "model", format_name="weights", task=tiny_task)
    assert f"#{member.number} as weights, whose latency and size were not measured; " in line
    export_member(run, "knee", tmp_path / "model", format_name="weights", task=tiny_task)  # over the earlier one


def test_a_missing_file_is_said(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"#5 must have its file in .* but it is gone: search again"):
        export_member(run, "5", tmp_path / "x.onnx")


def test_a_file_that_does_not_run_is_not_handed_out(run: Run, tmp_path: Path) -> None:
    with pytest.raises(MeasurementError):
        export_member(run, "6", tmp_path / "x.onnx")  # its content is "model"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]  # nor is half of it left


def test_other_outputs_than_torch_s_are_no_export(finished_run: Any, tmp_path: Path) -> None:
    """A run whose kept network belongs to another file: nothing may be left."""
    run = load(finished_run.directory.root)
    member = choose(run, "knee")
    artefacts = tmp_path / "run" / "artefacts"
    artefacts.mkdir(parents=True)
    (artefacts / "a.onnx").write_bytes((run.artefacts / "baseline.onnx").read_bytes())
    own = run.artefact(member)
    assert own is not None
    (artefacts / "a.pt").write_bytes(own.with_suffix(".pt").read_bytes())
    trials = tuple(dataclasses.replace(t, artefact="a.onnx") if t is member else t for t in run.trials)
    other = dataclasses.replace(run, directory=tmp_path / "run", trials=trials)
    with pytest.raises(ResultsError, match=r"model\.onnx must give the outputs that were stored with it, but in "):
        export_member(other, str(member.number), tmp_path / "out" / "model.onnx")
    assert not list((tmp_path / "out").iterdir())


def test_a_trial_that_is_no_final_member_is_its_file_alone(finished_run: Any, tiny_task: Task, tmp_path: Path) -> None:
    run = load(finished_run.directory.root)
    short = next(t for t in run.trials if t.artefact and t.artefact.startswith("trial-") and run.artefact(t))
    line = export_member(run, str(short.number), tmp_path / "model.onnx")
    assert (
        "checked against the file that the run holds, in its runtime, as the run kept no outputs of PyTorch: " in line
    )
    card = json.loads((tmp_path / "model.onnx.card.json").read_text())
    assert card["parity"]["expected_from"] == "the file that the run holds, in its runtime"
    with pytest.raises(ExportError, match=rf"only a final member leaves .*, got #{short.number}: pick one of #\d+"):
        export_member(run, str(short.number), tmp_path / "model.pt2", task=tiny_task)


def test_the_task_of_a_file_must_be_given(finished_run: Any, tmp_path: Path) -> None:
    with pytest.raises(
        ResultsError, match=r"the network is built from its task, .* got the name 'tiny' only: add --task"
    ):
        export_member(load(finished_run.directory.root), "knee", tmp_path / "model.pt2")


@pytest.mark.parametrize(
    ("name", "format_name", "message"),
    [
        (
            "model.pt",
            None,
            r"one of \.onnx \(onnx\), \.pt2 \(torch\), \.xml \(openvino\), \.pare \(pare\), or --format weights",
        ),
        ("model", None, "must end in one of"),
        ("model.pt2", "onnx", r"a path for --format onnx must end in \.onnx, got '.*model\.pt2': rename it"),
        ("model.onnx", "weights", r"--format weights must be a folder's name without \.onnx"),
        ("model.onnx", "onxx", "unknown format 'onxx': known formats are onnx, "),
        ("taken", "weights", "--to must be a new folder or one that was exported before, got "),
        ("folder.onnx", None, "--to must name a file, got the folder "),
    ],
)
def test_where_it_cannot_be_written(
    finished_run: Any, tmp_path: Path, name: str, format_name: str | None, message: str
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ResultsError, match=message):
        export_member(load(finished_run.directory.root), "knee", tmp_path / name, format_name=format_name)


def test_a_run_of_another_runtime_gives_all_formats(
    exported: Path, finished_run: Any, tiny_task: Task, tmp_path: Path
) -> None:
    """As if the run's own runtime were PyTorch: what it does not hold is written from the kept network."""
    run = load(finished_run.directory.root)
    member = choose(run, "fastest")
    own = run.artefact(member)
    assert own is not None
    artefacts = tmp_path / "run" / "artefacts"
    artefacts.mkdir(parents=True)
    shutil.copyfile(exported / "model.pt2", artefacts / "a.pt2")
    shutil.copyfile(own.with_suffix(".pt"), artefacts / "a.pt")
    trials = tuple(dataclasses.replace(t, artefact="a.pt2") if t is member else t for t in run.trials)
    manifest = {**run.manifest, "profile": {"name": "mine", "runtime": {"name": "torch", "threads": 1}}}
    other = dataclasses.replace(run, directory=tmp_path / "run", trials=trials, manifest=manifest)
    assert "#" in export_member(other, "fastest", tmp_path / "model.pt2")
    assert (tmp_path / "model.pt2").read_bytes() == (artefacts / "a.pt2").read_bytes()
    for name in ("model.onnx", "model.xml"):
        export_member(other, "fastest", tmp_path / name, task=tiny_task)
        assert verify(tmp_path / name)


def test_what_is_not_installed_is_said(finished_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "parefront.hardware_profiles.runtimes.openvino_cpu", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ProfileError, match=r"'openvino' must be installed, .*: pip install 'parefront\[openvino\]'"):
        export_member(load(finished_run.directory.root), "fastest", tmp_path / "model.xml")
    assert not list(tmp_path.iterdir())
