import pytest

from parefront.cli.quantities import parse_bytes, parse_seconds
from parefront.hardware_profiles.errors import SearchError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("200000", 200_000),
        ("512 bytes", 512),
        ("200kB", 200_000),
        ("1.5 MB", 1_500_000),
        (".5m", 500_000),
        ("2GB", 2e9),
        ("1KiB", 1024),
        ("1MiB", 1024**2),
    ],
)
def test_a_size_is_read_in_decimal_or_binary_units(text: str, size: float) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "large", "-3kB", "0", "5 TB", "1e6"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(
        SearchError, match=r"a size must be a number of bytes above 0, got .*: write for instance 200kB"
    ):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15min", 900), ("15 m", 900), ("2h", 7200), ("1.5 h", 5400), (".5H", 1800), ("1d", 86_400)],
)
def test_a_duration_is_read_with_its_unit(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "long", "-3h", "0s", "5 weeks", "90", "2h30"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(
        SearchError, match=r"a duration must be a number above 0 and its unit, got .*: write .* 90s or 2h"
    ):
        parse_seconds(text)
