import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from parefront.hardware_profiles import MeasurementError
from parefront.hardware_profiles.transport.artefact import ArtefactFile
from parefront.hardware_profiles.transport.artefact_upload import Upload, is_abandoned


def announce(name: str, content: bytes) -> ArtefactFile:
    return ArtefactFile(name, len(content), hashlib.sha256(content).hexdigest())


FILES = (announce("any.onnx", b"network"), announce("weights.bin", b"12345"))


@pytest.fixture
def upload(tmp_path: Path) -> Iterator[Upload]:
    upload = Upload(tmp_path, FILES)
    yield upload
    upload.close()


def test_pieces_become_files(upload: Upload) -> None:
    for number, offset, data in ((0, 0, b"net"), (1, 0, b"12345"), (0, 3, b"work")):
        upload.write(number, offset, data)
    upload.check_digests()
    assert (upload.folder / "model.onnx").read_bytes() == b"network"
    assert (upload.folder / "weights.bin").read_bytes() == b"12345"


@pytest.mark.parametrize(
    ("piece", "rule"),
    [
        ((0, 1, b"x"), "must begin at byte 0"),
        ((0, 0, b"networks"), "end by 7, got 8 at 0"),
        ((2, 0, b"x"), "one of 2 files, got number 2"),
    ],
)
def test_a_wrong_piece_is_refused(upload: Upload, piece: tuple[int, int, bytes], rule: str) -> None:
    with pytest.raises(MeasurementError, match=rule):
        upload.write(*piece)


def test_a_truncated_upload_is_refused(upload: Upload) -> None:
    upload.write(0, 0, b"network")
    upload.write(1, 0, b"1234")
    with pytest.raises(MeasurementError, match=r"must be whole, got 4 of the 5 bytes of 'weights.bin'"):
        upload.check_digests()


def test_a_tampered_upload_is_refused(upload: Upload) -> None:
    upload.write(0, 0, b"netwurk")
    upload.write(1, 0, b"12345")
    with pytest.raises(MeasurementError, match=r"must have the digest that was announced, got .* for 'any.onnx'"):
        upload.check_digests()


@pytest.mark.parametrize("name", ["../weights", "/tmp/weights", "model.onnx"])
def test_no_file_escapes_or_replaces_the_network(tmp_path: Path, name: str) -> None:
    with pytest.raises(MeasurementError, match=r"must (be a file in the same folder|have different names), got"):
        Upload(tmp_path, (FILES[0], announce(name, b"x")))
    assert list(tmp_path.iterdir()) == []


def test_an_upload_is_abandoned_once_nobody_holds_it(tmp_path: Path) -> None:
    upload = Upload(tmp_path, FILES)
    folder = upload.folder
    assert not is_abandoned(folder)
    upload.close()
    assert not folder.exists()
    assert not is_abandoned(folder)
    folder.mkdir()
    assert is_abandoned(folder)
