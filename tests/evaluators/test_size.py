from pathlib import Path

import pytest

from parefront.evaluators.size import size_score


def test_the_size_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"x" * 1234)
    score = size_score(path)
    assert (score.name, score.value, score.unit, score.is_higher_better) == ("size_bytes", 1234.0, "bytes", False)
    assert score.low is None  # exact


def test_a_missing_file_has_no_size(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        size_score(tmp_path / "model.onnx")


def test_weights_beside_the_file_count(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"12345")
    (tmp_path / "model.onnx.data").write_bytes(b"123")
    assert size_score(tmp_path / "model.onnx").value == 8
