"""The real loading code on an archive of forty images in CIFAR's own format; nothing is downloaded."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from parefront.hardware_profiles.errors import TaskError
from parefront.tasks.cifar import CIFAR, crop_and_flip, load_cifar

CIFAR10 = CIFAR["cifar10"]
N_PER_FILE = 10


def brightness(number: int) -> int:
    """All pixels of an image have the same value, by which it is known again."""
    return number % 256


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five files for training and one for test, as extracted; the checksums are made to be theirs."""
    folder = tmp_path / CIFAR10.folder
    folder.mkdir()
    sums = {}

    def write(name: str, content: dict[str, object]) -> None:
        (folder / name).write_bytes(pickle.dumps(content))
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()

    for index, name in enumerate(["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"]):
        numbers = range(index * N_PER_FILE, (index + 1) * N_PER_FILE)
        rows = np.array([[brightness(number)] * 3072 for number in numbers], dtype=np.uint8)
        write(name, {"data": rows, "labels": [number % 2 for number in numbers]})
    write("test_batch", {"data": np.full((4, 3072), 255, dtype=np.uint8), "labels": [3, 2, 1, 0]})
    write("batches.meta", {"label_names": [str(i) for i in range(10)]})
    train, test = ([n for n in sums if n.startswith(start)] for start in ("data", "test"))
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [[name, sums[name]] for name in train])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [[name, sums[name]] for name in test])
    monkeypatch.setattr(datasets.CIFAR10, "meta", {**datasets.CIFAR10.meta, "md5": sums["batches.meta"]})
    return tmp_path


def test_every_image_is_in_one_split_with_its_class(archive: Path) -> None:
    data = load_cifar(CIFAR10, archive)
    assert (len(data.train), len(data.validation), len(data.test)) == (45, 5, 4)
    assert data.train.inputs.shape[1:] == (3, 32, 32)
    numbers = []
    for split in (data.train, data.validation):
        red = split.inputs[:, 0, 0, 0] * CIFAR10.deviation[0] + CIFAR10.mean[0]
        found = (red * 255).round().int()
        assert split.targets.equal((found % 2).long())
        numbers += found.tolist()
    assert sorted(numbers) == list(range(50))
    assert data.test.targets.tolist() == [3, 2, 1, 0]


def test_pixels_are_normalised_by_channel(archive: Path) -> None:
    white = load_cifar(CIFAR10, archive).test.inputs[0, :, 5, 7]
    expected = [(1 - mean) / deviation for mean, deviation in zip(CIFAR10.mean, CIFAR10.deviation, strict=True)]
    assert white.tolist() == pytest.approx(expected)


def test_images_are_resized_and_training_is_limited(archive: Path) -> None:
    data = load_cifar(CIFAR10, archive, size=64, limit=10)
    assert data.train.inputs.shape == (10, 3, 64, 64)
    assert data.train.targets.float().mean() == pytest.approx(0.5, abs=0.1)  # both classes in their shares
    assert data.validation.inputs.shape == (5, 3, 64, 64)
    # A plain image stays what it is.
    assert (data.train.inputs - data.train.inputs[:, :, :1, :1]).abs().max() < 1e-5


def test_the_split_is_always_the_same(archive: Path) -> None:
    assert load_cifar(CIFAR10, archive).train.inputs.equal(load_cifar(CIFAR10, archive).train.inputs)


def test_without_data_and_network_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise OSError("<urlopen error no route\nto host>")

    monkeypatch.setattr(datasets.cifar, "download_and_extract_archive", fail)
    with pytest.raises(TaskError) as caught:
        load_cifar(CIFAR10, tmp_path / "data")
    assert str(caught.value) == (
        "cifar10 must be downloaded once, but that failed (<urlopen error no route to host>): connect to the network, "
        f"or put the extracted cifar-10-batches-py into {tmp_path / 'data'}"
    )


def test_a_damaged_archive_is_not_unpickled(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (archive / CIFAR10.folder / "data_batch_3").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    monkeypatch.setattr(datasets.cifar, "download_and_extract_archive", lambda *arguments, **named: None)
    with pytest.raises(TaskError, match="cifar10 must be downloaded once"):
        load_cifar(CIFAR10, archive)


# --- augmentation


def test_each_image_is_shifted_or_mirrored_and_nothing_else() -> None:
    size, padding = 16, 2  # an eighth
    image = torch.arange(1.0, size * size + 1).reshape(1, 1, size, size)
    padded = torch.nn.functional.pad(image, [padding] * 4)[0, 0]
    possible = {
        tuple(window.flatten().tolist())
        for top in range(2 * padding + 1)
        for left in range(2 * padding + 1)
        for window in [padded[top : top + size, left : left + size]]
        for window in (window, window.flip(1))
    }
    found = crop_and_flip(image.repeat(400, 1, 1, 1), torch.Generator().manual_seed(0))
    drawn = {tuple(each.flatten().tolist()) for each in found}
    assert drawn <= possible
    assert len(possible) == 50
    assert len(drawn) > 45  # 400 draws of 50 leave each out with a chance of 0.98^400 = 3e-4


def test_all_channels_of_an_image_move_together() -> None:
    image = torch.rand(6, 1, 8, 8).repeat(1, 3, 1, 1)
    found = crop_and_flip(image, torch.Generator().manual_seed(0))
    assert found[:, 0].equal(found[:, 1])
    assert found[:, 0].equal(found[:, 2])


def test_the_generator_decides() -> None:
    images = torch.rand(8, 3, 32, 32)
    first, second, other = (crop_and_flip(images, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert first.equal(second)
    assert not first.equal(other)
