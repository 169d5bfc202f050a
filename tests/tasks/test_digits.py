from collections.abc import Callable
from itertools import combinations

import pytest
import torch

from parefront.tasks import Task, TaskData, digest
from parefront.tasks.digits import clutter, cluttered_digits, digits, normalise
from parefront.training import Split


@pytest.fixture(scope="module")
def cluttered() -> TaskData:
    return cluttered_digits().load_data()


def splits_of(data: TaskData) -> tuple[Split, Split, Split]:
    return data.train, data.validation, data.test


def digest_of(data: TaskData) -> str:
    named = {f"{i}.inputs": split.inputs for i, split in enumerate(splits_of(data))}
    return digest(named | {f"{i}.targets": split.targets for i, split in enumerate(splits_of(data))})


def test_there_are_enough_images_for_a_point_to_mean_something(cluttered: TaskData) -> None:
    for split, least in zip(splits_of(cluttered), (4_000, 2_000, 2_000), strict=True):
        assert len(split) >= least
        assert split.inputs.shape[1:] == (1, 32, 32)
        assert split.inputs.isfinite().all()
        assert set(split.targets.tolist()) == set(range(10))


def test_no_original_stands_in_two_splits(cluttered: TaskData) -> None:
    origins = []
    for split in splits_of(cluttered):
        assert split.origins is not None
        origins.append(set(split.origins.tolist()))
    assert all(not one & other for one, other in combinations(origins, 2))
    assert sum(len(each) for each in origins) == 1_797  # all digits that scikit-learn brings are used


def test_images_of_one_original_are_of_its_class_and_differ(cluttered: TaskData) -> None:
    split = cluttered.validation
    assert split.origins is not None
    first = split.origins == split.origins[0]
    assert int(first.sum()) > 1
    assert len(set(split.targets[first].tolist())) == 1
    images = split.inputs[first]
    assert not torch.equal(images[0], images[1])


def test_the_data_are_the_same_every_time(cluttered: TaskData) -> None:
    torch.manual_seed(123)  # the process's own randomness must not matter
    assert digest_of(cluttered_digits().load_data()) == digest_of(cluttered)
    assert digest_of(digits().load_data()) == digest_of(digits().load_data())


def test_plain_digits_share_no_image_between_splits() -> None:
    data = digits().load_data()
    images = [{tuple(image.flatten().tolist()) for image in split.inputs} for split in splits_of(data)]
    assert [len(split) for split in splits_of(data)] == [1077, 360, 360]
    assert all(not one & other for one, other in combinations(images, 2))


@pytest.mark.parametrize("make", [digits, cluttered_digits])
def test_the_network_starts_the_same_every_time_and_fits_the_data(make: Callable[[], Task]) -> None:
    task = make()
    torch.manual_seed(7)
    network = task.build_network()
    torch.manual_seed(8)
    assert digest(network.state_dict()) == digest(task.build_network().state_dict())
    assert network.eval()(torch.zeros(2, 1, 32, 32)).shape == (2, 10)


def test_pixels_are_normalised_by_hand() -> None:
    assert normalise(torch.tensor([0.25, 0.7])).tolist() == pytest.approx([0.0, 1.0])


def test_without_distortion_the_digit_is_only_enlarged() -> None:
    image = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0))
    options = {"max_rotation": 0.0, "scale": (1.3, 1.3), "max_shift": 0.0, "n_strokes": 0, "noise": 0.0}
    drawn = clutter(image, torch.Generator().manual_seed(0), **options)
    assert drawn.shape == (1, 1, 32, 32)
    expected = torch.nn.functional.interpolate(image[:, None], size=32, mode="bicubic", align_corners=False)
    # grid_sample sees zeros outside the image where interpolate repeats its border, so compare inside.
    torch.testing.assert_close(drawn[..., 8:-8, 8:-8], expected.clamp(0, 1)[..., 8:-8, 8:-8], rtol=1e-4, atol=1e-4)


def test_noise_has_the_stated_deviation() -> None:
    blank = torch.zeros(50, 8, 8)
    drawn = clutter(blank, torch.Generator().manual_seed(0), n_strokes=0, noise=0.3)
    assert drawn.std().item() == pytest.approx(0.3, rel=0.02)  # 51,200 pixels


def test_strokes_hide_a_part_of_the_image() -> None:
    blank = torch.zeros(200, 8, 8)
    drawn = clutter(blank, torch.Generator().manual_seed(0), n_strokes=1, noise=0.0)
    share = (drawn > 0).double().mean().item()
    assert (drawn.flatten(1).amax(1) >= 0.3).all()  # every image has one
    assert 0.01 < share < 0.2
