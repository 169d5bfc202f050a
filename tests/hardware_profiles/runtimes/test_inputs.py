import numpy as np
import pytest

from parefront.hardware_profiles import MeasurementError
from parefront.hardware_profiles.runtimes.inputs import InputSpec, as_arrays, check_repeats, zero_inputs

IMAGE = InputSpec("image", (None, 3, 4, 4), np.dtype(np.float32))
INDEX = InputSpec("index", (None, 5), np.dtype(np.int64))


def test_zeros_take_the_batch_where_a_size_is_free() -> None:
    image, index = zero_inputs((IMAGE, INDEX), 2)
    assert (image.shape, image.dtype) == ((2, 3, 4, 4), np.float32)
    assert (index.shape, index.dtype) == ((2, 5), np.int64)


def test_only_the_batch_may_be_free() -> None:
    spec = InputSpec("image", (None, 3, None, 4), np.dtype(np.float32))
    with pytest.raises(MeasurementError, match=r"only the batch may be free .* got \[None, 3, None, 4\] for 'image'"):
        zero_inputs((spec,), 1)


def test_one_array_stands_for_itself_and_several_are_counted() -> None:
    array = np.zeros(1)
    assert as_arrays((IMAGE,), array) == (array,)
    assert as_arrays((IMAGE, INDEX), (array, array)) == (array, array)
    with pytest.raises(
        MeasurementError, match=r"each of its 2 inputs \(image, index\), got 1: give one array for each"
    ):
        as_arrays((IMAGE, INDEX), array)


def test_a_profile_repeats_at_least_once() -> None:
    check_repeats(1)
    with pytest.raises(MeasurementError, match="repeats must be at least 1, got 0"):
        check_repeats(0)
