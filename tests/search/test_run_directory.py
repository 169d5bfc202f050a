import json
from pathlib import Path

import pytest

from parefront.search import RunDirectory


def test_everything_of_a_run_lies_in_its_directory(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "x")
    paths = (directory.manifest, directory.journal, directory.artefacts, directory.report, directory.lock)
    assert [path.name for path in paths] == ["run.json", "journal.log", "artefacts", "report.html", "run.lock"]
    assert all(path.parent == tmp_path / "x" for path in paths)
    assert not directory.root.exists()  # naming a run makes nothing


def test_the_manifest_comes_back_with_its_schema(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "deep" / "x")
    assert directory.read_manifest() is None
    directory.write_manifest({"task": "digits", "seed": 0})
    assert directory.read_manifest() == {"schema": 1, "task": "digits", "seed": 0}
    directory.write_manifest({"task": "digits", "seed": 1})
    assert json.loads(directory.manifest.read_text())["seed"] == 1
    assert [path.name for path in directory.root.iterdir()] == ["run.json"]  # nothing half-written is left


def test_a_manifest_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.write_manifest({"seed": 0})
    with pytest.raises(TypeError):
        directory.write_manifest({"seed": object()})
    assert directory.read_manifest() == {"schema": 1, "seed": 0}
