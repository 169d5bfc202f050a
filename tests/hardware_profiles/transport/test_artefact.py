import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parefront.hardware_profiles import MeasurementError
from parefront.hardware_profiles.transport import artefact
from parefront.hardware_profiles.transport.artefact import Artefact, ArtefactFile, artefact_name

WriteNetwork = Callable[..., Path]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_network_is_named_by_its_contents(write_network: WriteNetwork, tmp_path: Path) -> None:
    path = write_network()
    assert Artefact.read(path).name == "sha256:" + sha256(path.read_bytes())
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(path.read_bytes())
    assert Artefact.read(copy).name == Artefact.read(path).name


def test_external_data_is_part_of_it(write_network: WriteNetwork, tmp_path: Path) -> None:
    path = write_network(data_name="weights.bin")
    found = Artefact.read(path)
    assert [(file.name, file.size_bytes) for file in found.files] == [
        ("network.onnx", path.stat().st_size),
        ("weights.bin", 3 * 4 * 4),  # 3 × 4 numbers of 4 bytes
    ]
    both = [sha256((tmp_path / name).read_bytes()) for name in ("network.onnx", "weights.bin")]
    assert found.name == "sha256:" + sha256(" ".join(both).encode())
    (tmp_path / "weights.bin").write_bytes(b"\0" * 48)
    assert Artefact.read(path).name != found.name


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("none.onnx", "must exist, got .*none.onnx"),
        ("network.pt2", r"format \.onnx only \(never pickles\), got '.pt2'"),
    ],
)
def test_what_cannot_be_sent_is_said_at_once(tmp_path: Path, name: str, rule: str) -> None:
    (tmp_path / "network.pt2").write_bytes(b"PK")
    with pytest.raises(MeasurementError, match=rule):
        Artefact.read(tmp_path / name)


def test_missing_weights_are_said_at_once(write_network: WriteNetwork, tmp_path: Path) -> None:
    path = write_network(data_name="weights.bin")
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(MeasurementError, match=r"must exist, got .*weights.bin"):
        Artefact.read(path)


def test_a_network_may_not_send_files_from_elsewhere(write_network: WriteNetwork) -> None:
    with pytest.raises(MeasurementError, match="must be a file in the same folder, got '/etc/passwd'"):
        Artefact.read(write_network(data_name="/etc/passwd"))


def test_it_is_sent_in_pieces_and_only_where_it_is_missing(
    write_network: WriteNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artefact, "CHUNK_BYTES", 20)
    found = Artefact.read(write_network(data_name="weights.bin"))
    asked: list[dict[str, Any]] = []

    def ask(message: dict[str, Any], *, is_there: bool = False) -> dict[str, Any]:
        asked.append(message)
        return {"is_there": is_there}

    found.upload(ask)
    n_pieces = -(-found.files[0].size_bytes // 20)
    assert [message["type"] for message in asked] == ["has", "upload", *["chunk"] * (n_pieces + 3), "commit"]
    pieces = [(message["file"], message["offset"]) for message in asked if message["type"] == "chunk"]
    assert pieces == [(0, 20 * i) for i in range(n_pieces)] + [(1, 0), (1, 20), (1, 40)]

    asked.clear()
    found.upload(lambda message: ask(message, is_there=True))
    assert [message["type"] for message in asked] == ["has"]


def test_a_name_depends_on_every_file() -> None:
    a, b = ArtefactFile("a", 1, "0" * 64), ArtefactFile("b", 1, "1" * 64)
    assert artefact_name((a,)) == "sha256:" + "0" * 64
    assert len({artefact_name(files) for files in ((a,), (b,), (a, b), (b, a))}) == 4
