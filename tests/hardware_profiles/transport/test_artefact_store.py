import os
from collections.abc import Callable
from pathlib import Path

import pytest

from parefront.hardware_profiles import MeasurementError
from parefront.hardware_profiles.transport.artefact import Artefact
from parefront.hardware_profiles.transport.artefact_store import ArtefactStore

WriteNetwork = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path) -> ArtefactStore:
    return ArtefactStore(tmp_path / "store", max_bytes=1000)


def put(store: ArtefactStore, path: Path) -> str:
    artefact = Artefact.read(path)
    upload = store.reserve(artefact.files)
    try:
        for number, file in enumerate(artefact.files):
            upload.write(number, 0, path.with_name(file.name).read_bytes())
        store.add(upload, artefact.name)
    finally:
        upload.close()
    return artefact.name


def test_a_network_is_found_by_its_name(store: ArtefactStore, write_network: WriteNetwork) -> None:
    path = write_network(data_name="weights.bin")
    assert not store.has(Artefact.read(path).name)
    name = put(store, path)
    assert store.has(name)
    assert store.path(name).read_bytes() == path.read_bytes()
    assert store.path(name).with_name("weights.bin").read_bytes() == path.with_name("weights.bin").read_bytes()


def test_another_process_finds_it_too_and_twice_is_once(store: ArtefactStore, write_network: WriteNetwork) -> None:
    name = put(store, write_network())
    assert put(store, write_network("again.onnx")) == name
    assert ArtefactStore(store.folder).has(name)
    assert sorted(path.name for path in store.folder.iterdir()) == sorted([name.removeprefix("sha256:"), "lock"])


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "", "sha256:" + "/" * 64, "sha256:../" + "0" * 61])
def test_a_path_is_no_name(store: ArtefactStore, name: str) -> None:
    with pytest.raises(MeasurementError, match="must name networks by their digest, got"):
        store.path(name)
    assert not store.has(name)


def test_what_was_not_sent_is_not_there(store: ArtefactStore) -> None:
    with pytest.raises(MeasurementError, match="must be uploaded before it is measured, got sha256:000"):
        store.path("sha256:" + "0" * 64)


def test_a_file_that_was_altered_on_disk_is_dropped(store: ArtefactStore, write_network: WriteNetwork) -> None:
    name = put(store, write_network())
    with store.path(name).open("r+b") as file:
        file.seek(-3, os.SEEK_END)
        file.write(b"\x07")
    fresh = ArtefactStore(store.folder)
    with pytest.raises(MeasurementError, match="must still have its digest"):
        fresh.path(name)
    assert not fresh.has(name)
    assert put(fresh, write_network()) == name


def test_what_is_no_network_is_not_taken(store: ArtefactStore, tmp_path: Path, write_network: WriteNetwork) -> None:
    path = write_network()
    announced = Artefact.read(path)
    path.write_bytes(b"\x80\x04a pickle")
    with pytest.raises(MeasurementError, match="must be an ONNX file"):
        put(store, path)
    upload = store.reserve(announced.files)
    upload.write(0, 0, path.read_bytes())
    with pytest.raises(MeasurementError, match="must have the name of its digests"):
        store.add(upload, "sha256:" + "0" * 64)
    upload.close()
    assert [each.name for each in store.folder.iterdir()] == ["lock"]


def test_the_longest_unused_networks_make_room(tmp_path: Path, write_network: WriteNetwork) -> None:
    sizes = {width: write_network(f"{width}.onnx", width).stat().st_size for width in (10, 11, 12)}
    store = ArtefactStore(tmp_path / "store", max_bytes=sizes[10] + sizes[11] + sizes[12] - 1)
    first, second = (put(store, tmp_path / f"{width}.onnx") for width in (10, 11))
    for name, age in ((first, 10), (second, 20)):
        os.utime(store.path(name).parent, (age, age))
    assert store.has(first)  # It counts as used now, so that the second one goes.
    third = put(store, tmp_path / "12.onnx")
    assert [store.has(name) for name in (first, second, third)] == [True, False, True]


def test_there_is_no_room_for_more_than_the_bound(store: ArtefactStore, write_network: WriteNetwork) -> None:
    with pytest.raises(MeasurementError, match="must fit into the 1000 bytes that the device has for it, got"):
        put(store, write_network(width=100))


def test_what_others_send_now_takes_room_until_they_end(store: ArtefactStore, write_network: WriteNetwork) -> None:
    files = Artefact.read(write_network(width=60)).files  # more than half of the room
    first = store.reserve(files)
    with pytest.raises(MeasurementError, match="must fit beside those being uploaded now"):
        store.reserve(files)
    # As if its process had been killed: only the lock is gone.
    os.close(first._lock)
    second = store.reserve(files)
    assert not first.folder.exists()
    second.close()


@pytest.mark.parametrize("mode", [0o755, 0o770])
def test_a_folder_that_others_can_enter_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(MeasurementError, match="a folder of this user's alone, got"):
        ArtefactStore(folder)


def test_a_link_to_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(MeasurementError, match="a folder of this user's alone, got"):
        ArtefactStore(tmp_path / "link")


def test_the_usual_folder_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = ArtefactStore().folder
    assert folder == tmp_path / f"parefront-artefacts-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
