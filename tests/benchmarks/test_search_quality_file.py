from pathlib import Path

import pytest

from benchmarks.search_quality_file import SurfaceFile


def test_what_stands_first_counts_for_everybody(tmp_path: Path) -> None:
    one, other = (SurfaceFile(tmp_path / "s.jsonl", "us") for _ in range(2))
    assert one.get("a") is None
    assert one.add({"key": "a", "x": 1}) == {"key": "a", "x": 1}
    assert other.add({"key": "a", "x": 2}) == {"key": "a", "x": 1}
    assert other.get("a") == one.get("a") == {"key": "a", "x": 1}
    assert one.keys() == SurfaceFile(tmp_path / "s.jsonl", "us").keys() == ["a"]


def test_a_fact_is_found_out_once(tmp_path: Path) -> None:
    assert SurfaceFile(tmp_path / "s.jsonl", "us").fact("ms", lambda: 1.5) == 1.5
    assert SurfaceFile(tmp_path / "s.jsonl", "us").fact("ms", lambda: 2.5) == 1.5


def test_half_a_line_of_a_killed_process_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    SurfaceFile(path, "us").add({"key": "a"})
    with path.open("a") as file:
        file.write('{"key": "b", "x')
    SurfaceFile(path, "us").add({"key": "c"})
    assert SurfaceFile(path, "us").keys() == ["a", "c"]


def test_another_network_s_surface_is_refused(tmp_path: Path) -> None:
    SurfaceFile(tmp_path / "s.jsonl", "us")
    with pytest.raises(SystemExit, match="must hold the surface of this network"):
        SurfaceFile(tmp_path / "s.jsonl", "them")
