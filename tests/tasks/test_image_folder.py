"""Real files on a disk: tiny pictures, written by the tests."""

import logging
from pathlib import Path

import pytest
from PIL import Image

from parefront.hardware_profiles.errors import TaskError
from parefront.tasks.image_folder import DEVIATION, MEAN, class_names, list_splits, load_folder

COLOURS = {"apple": (255, 0, 0), "leaf": (0, 255, 0)}


def write(folder: Path, n_per_class: int, size: tuple[int, int] = (12, 8)) -> Path:
    """One plain picture after another; every third one is grey, to have another mode."""
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(n_per_class):
            Image.new("RGB", size, colour).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture
def with_splits(tmp_path: Path) -> Path:
    for name, count in (("train", 5), ("val", 4), ("test", 2)):
        write(tmp_path / name, count)
    return tmp_path


def test_classes_are_the_sorted_folders(with_splits: Path) -> None:
    (with_splits / "train" / ".hidden").mkdir()
    assert class_names(with_splits) == ["apple", "leaf"]


def test_pictures_become_normalised_squares(with_splits: Path) -> None:
    data = load_folder(with_splits, size=6)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [10, 8, 4]
    assert data.train.inputs.shape == (10, 3, 6, 6)
    for name, position in (("apple", 0), ("leaf", 1)):
        found = data.train.inputs[data.train.targets == position][0, :, 3, 3]
        expected = [(value / 255 - m) / d for value, m, d in zip(COLOURS[name], MEAN, DEVIATION, strict=True)]
        assert found.tolist() == pytest.approx(expected)


def test_the_middle_is_cut_out(tmp_path: Path) -> None:
    # 14 x 7 at size 7: resized to 16 x 8 pixels, of which the columns from 4 (3.5 of 14) to 11 stay.
    picture = Image.new("RGB", (14, 7))
    picture.paste((255, 255, 255), (7, 0, 14, 7))
    for name in COLOURS:
        for split in ("train", "val", "test"):
            (tmp_path / split / name).mkdir(parents=True)
            picture.save(tmp_path / split / name / "a.png")
    rows = load_folder(tmp_path, size=7).train.inputs[0, 0] * DEVIATION[0] + MEAN[0]
    assert rows[:, 0].tolist() == pytest.approx([0] * 7, abs=0.01)
    assert rows[:, -1].tolist() == pytest.approx([1] * 7, abs=0.01)


def test_other_modes_are_read_too(with_splits: Path) -> None:
    Image.new("L", (9, 9), 128).save(with_splits / "train" / "apple" / "grey.jpg")
    Image.new("RGBA", (9, 9)).save(with_splits / "train" / "leaf" / "see-through.PNG")
    assert len(load_folder(with_splits, size=6).train) == 12


def test_without_a_test_folder_half_of_validation_becomes_it(tmp_path: Path) -> None:
    write(tmp_path / "train", 5)
    write(tmp_path / "validation", 4)
    train, validation, test = list_splits(tmp_path)
    assert (len(train), len(validation), len(test)) == (10, 4, 4)
    assert not set(validation.files) & set(test.files)
    assert validation.classes.bincount().tolist() == test.classes.bincount().tolist() == [2, 2]


def test_a_folder_of_classes_is_split_by_shares(tmp_path: Path) -> None:
    splits = list_splits(write(tmp_path, 50))
    assert [len(split) for split in splits] == [80, 10, 10]
    assert len({file for split in splits for file in split.files}) == 100
    assert [split.classes.float().mean().item() for split in splits] == pytest.approx([0.5] * 3, abs=0.1)
    assert list_splits(tmp_path)[1].files == splits[1].files


def test_a_limit_thins_every_split_and_is_logged(with_splits: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        data = load_folder(with_splits, size=6, limit=6)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [6, 2, 2]
    assert data.train.targets.bincount().tolist() == [3, 3]
    assert "reading 6 training images of 10 (limit=N in the task's name changes that)" in caplog.text


def test_what_is_no_image_is_named(with_splits: Path) -> None:
    broken = with_splits / "train" / "leaf" / "broken.png"
    broken.write_bytes(b"\x89PNG nonsense")
    with pytest.raises(TaskError, match=rf"{broken} must be an image, but cannot be read .*: remove it"):
        load_folder(with_splits, size=6)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="an image folder must exist"):
        class_names(tmp_path / "nowhere")


def test_one_class_is_no_task(tmp_path: Path) -> None:
    (tmp_path / "apple").mkdir()
    with pytest.raises(TaskError, match="must hold one folder per class and at least two, got 1"):
        class_names(tmp_path)


def test_training_without_validation_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "train", 2)
    with pytest.raises(TaskError, match="must hold `val` beside `train`, but does not"):
        list_splits(tmp_path)


def test_an_unknown_class_in_validation_is_refused(with_splits: Path) -> None:
    (with_splits / "val" / "pear").mkdir()
    with pytest.raises(TaskError, match="must hold only classes that train holds, got 'pear'"):
        list_splits(with_splits)


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        write(tmp_path / split, 0 if split == "test" else 2)
    with pytest.raises(TaskError, match="must hold images for test, but has none"):
        list_splits(tmp_path)
