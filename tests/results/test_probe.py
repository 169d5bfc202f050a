from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from parefront.results.load import ResultsError
from parefront.results.probe import Probe

# Mean 0, variance 8 / 7 over 8 values (torch's, n - 1); the second class leads, then the first.
EXPECTED = np.array([[-1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, -1.0]], np.float32)
DEVIATION = (8 / 7) ** 0.5
PROBE = Probe(np.zeros((4, 3), np.float32), EXPECTED)


def giving(outputs: NDArray[Any]) -> Any:
    return lambda inputs: outputs


def test_the_error_is_the_difference_over_the_deviation() -> None:
    found = PROBE.compare(giving(EXPECTED + np.float32(0.05)), 0.1)
    assert found.error == pytest.approx(0.05 / DEVIATION, rel=1e-4)
    assert (found.n_probes, found.n_clear, found.n_same) == (4, 4, 4)
    assert found.is_kept
    assert not PROBE.compare(giving(EXPECTED + np.float32(0.2)), 0.1).is_kept
    assert not PROBE.compare(giving(EXPECTED * np.float32(np.nan)), 0.1).is_kept
    assert found.text.endswith("of their deviation (0.1 allowed) on 4 inputs, same class on 4 of 4 clear ones")


def test_a_clear_class_must_stay_though_the_error_is_small() -> None:
    many = np.tile(EXPECTED, (250, 1))  # 1,000 samples, of which one changes: an error of (4 / 1,000)^0.5 = 0.063
    changed = many.copy()
    changed[0] = -changed[0]
    found = Probe(np.zeros((1000, 3), np.float32), many).compare(giving(changed), 0.1)
    assert found.error == pytest.approx((4 / 1000) ** 0.5, rel=1e-3)
    assert (found.n_clear, found.n_same) == (1000, 999)
    assert not found.is_kept


def test_a_close_call_may_fall_either_way() -> None:
    expected = np.array([[0.0, 2.0], [1.0, 1.05]], np.float32)
    swapped = np.array([[0.0, 2.0], [1.05, 1.0]], np.float32)
    found = Probe(np.zeros((2, 3), np.float32), expected).compare(giving(swapped), 0.1)
    assert (found.n_clear, found.n_same) == (1, 1)
    assert found.is_kept


def test_outputs_that_are_no_classes_are_compared_as_values() -> None:
    maps = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    found = Probe(np.zeros((2, 3), np.float32), maps).compare(giving(maps), 1e-3)
    assert (found.error, found.n_clear, found.is_kept) == (0.0, None, True)
    assert found.text.endswith("on 2 inputs")


def test_another_shape_is_another_model() -> None:
    with pytest.raises(ResultsError, match=r"must give outputs of shape \(4, 2\), got \(4, 3\): it is another one"):
        PROBE.compare(giving(np.zeros((4, 3), np.float32)), 0.1)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    PROBE.write(tmp_path / "m.probe.npz")
    found = Probe.read(tmp_path / "m.probe.npz")
    assert np.array_equal(found.inputs, PROBE.inputs)
    assert np.array_equal(found.outputs, EXPECTED)


@pytest.mark.parametrize("kind", ["text", "cut", "pickled", "other"])
def test_a_damaged_one_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "m.probe.npz"
    PROBE.write(path)
    if kind == "text":
        path.write_text("nothing")
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif kind == "pickled":
        np.savez(path, inputs=np.array([{}], dtype=object), outputs=EXPECTED)
    else:
        np.savez(path, inputs=EXPECTED)
    with pytest.raises(ResultsError, match=r"m\.probe\.npz must be as it was exported, got an error \(\w+\)"):
        Probe.read(path)
