import numpy as np
import pytest

from parefront.hardware_profiles.errors import PackingError
from parefront.packing.number_streams import NumberStream
from parefront.packing.value_codes import (
    LEVELS,
    PLANES,
    RAW,
    TABLE,
    Patterns,
    ValueCode,
    decode_values,
    encode_values,
    n_streams,
)

CHANCE = np.random.default_rng(0)
NORMAL = CHANCE.standard_normal(4000).astype(np.float32)


@pytest.mark.parametrize(
    ("values", "form", "n_bytes"),
    [
        (np.arange(-7, 9, dtype=np.float32).view(np.uint32), LEVELS, 0),
        (np.array([0.0, -0.0], np.float32).view(np.uint32), RAW, 8),  # -0 is no level
        (NORMAL[:3].view(np.uint32), RAW, 12),
        (np.sign(NORMAL).view(np.uint32), TABLE, 2 * 4 + 4000 // 8),
        (NORMAL.view(np.uint32), PLANES, None),
        (np.arange(200, dtype=np.uint8), RAW, 200),
        (np.arange(100, dtype=np.uint64), PLANES, 7 * 100 // 8 + 1 + 7),  # 7 bits of the lowest byte, 7 constants
        (np.array([], np.uint32), RAW, 0),
    ],
)
def test_the_shortest_form_is_taken(values: Patterns, form: int, n_bytes: int | None) -> None:
    code = encode_values(values)
    assert code.form == form
    # Sign and exponent of a normal number have some three bits of entropy, the mantissa is no shorter.
    assert code.n_bytes == n_bytes if n_bytes is not None else 0.8 < code.n_bytes / values.nbytes < 0.9
    found = decode_values(code, len(values), values.itemsize)
    assert found.dtype.itemsize == values.itemsize
    assert np.array_equal(found, values)


def test_forms_that_entries_cannot_have_are_refused() -> None:
    assert [n_streams(form, 4) for form in (RAW, PLANES, TABLE, LEVELS)] == [1, 4, 1, 0]
    for form, item_bytes in ((4, 4), (LEVELS, 8), (TABLE, 1)):
        with pytest.raises(PackingError, match=f"that they can have, got {form}"):
            n_streams(form, item_bytes)


@pytest.mark.parametrize(("table", "n_entries"), [(b"", 0), (bytes(6), 3), (bytes(5), 2)])
def test_places_must_be_in_the_table(table: bytes, n_entries: int) -> None:
    places = NumberStream(8, bytes([0, 3]))
    with pytest.raises(PackingError, match=f"among the {n_entries} of a table of {len(table)} bytes, got 3"):
        decode_values(ValueCode(TABLE, (places,), table), 2, 2)
