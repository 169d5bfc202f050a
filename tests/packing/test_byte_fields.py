import pytest

from parefront.hardware_profiles.errors import PackingError
from parefront.packing.byte_fields import FieldReader, FieldWriter


def test_fields_by_hand() -> None:
    fields = FieldWriter()
    fields.number(300)  # 0b10_0101100
    fields.signed(-2)
    fields.text("é")
    fields.raw(b"xy")
    assert fields.bytes() == bytes([0b1_0101100, 0b10, 3, 2, 0xC3, 0xA9]) + b"xy"
    reader = FieldReader(fields.bytes())
    assert (reader.number(), reader.signed(), reader.text(), reader.raw(2)) == (300, -2, "é", b"xy")
    assert reader.n_left == 0


@pytest.mark.parametrize("value", [0, 1, 127, 128, (1 << 64) - 1])
def test_numbers_come_back(value: int) -> None:
    fields = FieldWriter()
    fields.number(value)
    assert FieldReader(fields.bytes()).number() == value


def test_damage_is_refused() -> None:
    with pytest.raises(PackingError, match="3 bytes must follow, got 2"):
        FieldReader(b"\x03ab").text()
    with pytest.raises(PackingError, match="1 bytes must follow, got 0"):
        FieldReader(b"\x80").number()
    with pytest.raises(PackingError, match=r"below 2 \*\* 64"):
        FieldReader(b"\xff" * 9 + b"\x02").number()
    with pytest.raises(PackingError, match=r"below 2 \*\* 64"):
        FieldReader(b"\x80" * 12).number()
    with pytest.raises(PackingError, match="must be UTF-8"):
        FieldReader(b"\x01\xff").text()
    with pytest.raises(PackingError, match="a name must be Unicode text"):
        FieldWriter().text("\ud800")
