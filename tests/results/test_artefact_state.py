from dataclasses import replace
from pathlib import Path

from parefront.results.artefact_state import artefact_problems, artefact_states
from parefront.search.trial import Trial


def test_each_file_is_compared_with_what_was_recorded(tmp_path: Path, trials: list[Trial]) -> None:
    # Recorded: 250,000 bytes for 5, 62,500 for 6, 31,250 for 7.
    (tmp_path / "5.onnx").write_bytes(bytes(250_000))
    (tmp_path / "6.onnx").write_bytes(bytes(60_000))
    (tmp_path / "6.onnx.data").write_bytes(bytes(2_500))  # weights beside a very large network count
    (tmp_path / "7.onnx").write_bytes(bytes(31_249))
    files = [replace(trials[i], artefact=f"{i}.onnx") for i in (5, 6, 7, 8)]
    assert artefact_states([*files, trials[3]], tmp_path) == ["whole", "whole", "damaged", "missing", "none"]
    name = tmp_path.name
    assert artefact_problems(files, tmp_path) == [
        f"the file of trial 7, {name}/7.onnx, is damaged: it holds 31249 bytes, recorded were 31250",
        f"the file of trial 8, {name}/8.onnx, is missing",
    ]


def test_a_copy_at_a_shared_place_is_not_missing(tmp_path: Path, trials: list[Trial]) -> None:
    copied = replace(trials[5], details={"files": {"5.onnx": "0" * 64}})
    assert artefact_states([copied], tmp_path) == ["elsewhere"]
    assert artefact_problems([copied], tmp_path) == []


def test_without_the_folder_all_are_missing(tmp_path: Path, trials: list[Trial]) -> None:
    assert artefact_states(trials[5:7], tmp_path / "nowhere") == ["missing", "missing"]
