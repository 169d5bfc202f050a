"""Tables on disk: what was added comes back, whatever was done to the file meanwhile."""

import json
import threading
import zlib
from pathlib import Path

import pytest

from parefront.evaluators.table_file import TableFile

N_WRITERS, N_LINES = 4, 50


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tables" / "some.jsonl"


def subjects(path: Path, limit: int = 1000) -> list[str]:
    return [entry["of"] for entry in TableFile(path, limit).read()]


def test_what_was_added_comes_back_in_order(path: Path) -> None:
    table = TableFile(path, 10)
    assert table.read() == []
    entries = [{"of": "b", "value": 1.5}, {"of": "a", "value": [None, "ü"]}]
    for entry in entries:
        table.add(entry)
    assert table.read() == TableFile(path, 10).read() == entries


def test_of_one_subject_the_latest_counts(path: Path) -> None:
    table = TableFile(path, 10)
    for subject, value in (("a", 1), ("b", 2), ("a", 3)):
        table.add({"of": subject, "value": value})
    assert table.read() == [{"of": "b", "value": 2}, {"of": "a", "value": 3}]


def test_a_line_is_a_checksum_and_json(path: Path) -> None:
    TableFile(path, 10).add({"of": "a"})
    text = b'{"of":"a"}'
    assert path.read_bytes().strip() == b"%08x %s" % (zlib.crc32(text), text)


def test_half_a_line_loses_nothing_else(path: Path) -> None:
    table = TableFile(path, 10)
    table.add({"of": "a"})
    whole = path.read_bytes()
    table.add({"of": "b"})
    path.write_bytes(path.read_bytes()[: len(whole) + 12])  # killed in the middle of the second
    assert subjects(path) == ["a"]
    table.add({"of": "c"})
    assert subjects(path) == ["a", "c"]


@pytest.mark.parametrize("damage", [b"no checksum at all", b"00000000 {}", b"\xff\xfe\x00", b'{"of": "x"}'])
def test_a_damaged_line_is_left_out(path: Path, damage: bytes) -> None:
    table = TableFile(path, 10)
    table.add({"of": "a"})
    with path.open("ab") as file:
        file.write(damage + b"\n")
    table.add({"of": "b"})
    assert subjects(path) == ["a", "b"]


def test_a_changed_value_is_noticed(path: Path) -> None:
    TableFile(path, 10).add({"of": "a", "value": 100})
    path.write_bytes(path.read_bytes().replace(b"100", b"900"))
    assert subjects(path) == []


def test_a_line_about_nothing_is_left_out(path: Path) -> None:
    TableFile(path, 10).add({"value": 1})
    assert TableFile(path, 10).read() == []


def test_the_latest_are_kept_and_the_file_stays_bounded(path: Path) -> None:
    table = TableFile(path, 3)
    for number in range(6):
        table.add({"of": str(number)})
    assert subjects(path, 3) == ["3", "4", "5"]
    assert len(path.read_bytes().split()) == 6 * 2  # twice the limit is left as it is
    table.add({"of": "6"})
    assert subjects(path, 3) == ["4", "5", "6"]
    assert len(path.read_bytes().split()) == 3 * 2
    assert subjects(path, 3) == ["4", "5", "6"]


def add_many(path: Path, writer: int) -> None:
    table = TableFile(path, 5)
    for number in range(N_LINES):
        table.add({"of": f"{writer}.{number}", "filling": "x" * 5000})


def write_while_reading(path: Path, n_writers: int, limit: int) -> None:
    """Every writer opens the file and its lock for itself, as processes do."""
    writers = [threading.Thread(target=add_many, args=(path, number)) for number in range(n_writers)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        TableFile(path, limit).read()
    for writer in writers:
        writer.join()


def test_writers_do_not_disturb_each_other(path: Path) -> None:
    write_while_reading(path, N_WRITERS, N_WRITERS * N_LINES)
    expected = {f"{writer}.{number}" for writer in range(N_WRITERS) for number in range(N_LINES)}
    assert set(subjects(path)) == expected


def test_what_is_added_while_a_file_is_shortened_is_not_lost(path: Path) -> None:
    write_while_reading(path, 1, 5)
    assert subjects(path, 5) == [f"0.{number}" for number in range(N_LINES - 5, N_LINES)]


def test_entries_are_plain_json(path: Path) -> None:
    TableFile(path, 5).add({"of": "a", "value": 0.1})
    _, _, text = path.read_text().strip().partition(" ")
    assert json.loads(text) == {"of": "a", "value": 0.1}
