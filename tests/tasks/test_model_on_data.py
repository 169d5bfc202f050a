from pathlib import Path

import pytest
import torch
from PIL import Image

from parefront.hardware_profiles.errors import TaskError
from parefront.tasks import load_task
from parefront.tasks.model_on_data import Description, parse


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "fruit"
    for name in ("apple", "pear", "plum"):
        (folder / name).mkdir(parents=True)
        for number in range(20):
            Image.new("RGB", (40, 40), (number, 0, 0)).save(folder / name / f"{number}.png")
    return folder


def test_a_name_is_read_in_its_parts() -> None:
    assert parse("resnet18@cifar10") == Description("resnet18@cifar10", "resnet18", "cifar10")
    assert parse("vit_b_16@cifar100:/data/c,weights=my.pt,size=96,limit=500") == Description(
        "vit_b_16@cifar100", "vit_b_16", "cifar100", Path("/data/c"), "my.pt", 96, 500
    )
    assert parse("resnet50@images:/data/fruit") == Description(
        "resnet50@fruit", "resnet50", "images", Path("/data/fruit")
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resnet19@cifar10", "unknown model 'resnet19': the closest of"),
        ("resnet18@cifar", "unknown data set 'cifar': known data sets are cifar10, "),
        ("resnet18@images", "images must be followed by a folder, got 'resnet18@images'"),
        ("resnet18@cifar10,sizes=3", "unknown option 'sizes': known options are size, "),
        ("resnet18@cifar10,size=big", "size must be a whole number above 0, got 'big'"),
        ("resnet18@cifar10,limit=0", "limit must be a whole number above 0, got '0'"),
        ("resnet18@images:/nowhere", "an image folder must exist, got '/nowhere'"),
    ],
)
def test_a_mistake_is_one_line(text: str, message: str) -> None:
    with pytest.raises(TaskError, match=message) as caught:
        load_task(text)
    assert len(str(caught.value).splitlines()) == 1


def test_resnet20_on_cifar10_is_built_in() -> None:
    task = load_task("cifar10-resnet20")
    assert task.name == "cifar10-resnet20"
    assert task.example_inputs is not None
    inputs = task.example_inputs()
    assert inputs.shape[1:] == (3, 32, 32)
    assert task.build_network().eval()(inputs).shape == (len(inputs), 10)
    assert task.baseline_recipe is not None
    assert task.baseline_recipe.n_samples == 30 * 45_000
    assert task.augment is not None


def test_a_torchvision_model_sees_larger_images_and_all_classes() -> None:
    task = load_task("mobilenet_v2@cifar100")
    assert task.example_inputs is not None
    assert task.example_inputs().shape[1:] == (3, 64, 64)
    assert task.build_network().eval()(task.example_inputs()).shape[1] == 100


def test_given_weights_are_not_trained_again(tmp_path: Path) -> None:
    weights = tmp_path / "mine.pt"
    state = load_task("resnet20@cifar10").build_network().state_dict()
    torch.save({**state, "fc.bias": torch.arange(10.0)}, weights)
    task = load_task(f"resnet20@cifar10,weights={weights}")
    assert task.baseline_recipe is None
    assert task.build_network().get_parameter("fc.bias").tolist() == list(range(10))


def test_own_networks_have_no_imagenet_weights() -> None:
    with pytest.raises(TaskError, match="resnet20 has no ImageNet weights"):
        load_task("resnet20@cifar10,weights=imagenet").build_network()


def test_an_image_folder_gives_classes_and_samples(photographs: Path) -> None:
    task = load_task(f"resnet20@images:{photographs},limit=30")
    assert task.name == "resnet20@fruit"
    data = task.load_data()
    assert data.train.inputs.shape == (30, 3, 32, 32)
    assert task.build_network().eval()(data.test.inputs).shape == (6, 3)
    assert task.baseline_recipe is not None
    assert task.baseline_recipe.n_samples == 30 * 30  # passes over what the limit leaves
    assert task.full_recipe.n_samples == 2 * 30


def test_on_images_a_torchvision_model_starts_from_imagenet(photographs: Path) -> None:
    task = load_task(f"resnet18@images:{photographs}")
    assert task.example_inputs is not None
    assert task.example_inputs().shape[1:] == (3, 224, 224)
    assert task.baseline_recipe is not None  # a new classifier for three classes
    assert task.baseline_recipe.n_samples == 5 * 48  # 60 images less two tenths
