"""The example that users copy from must work as it stands."""

from pathlib import Path

import pytest
import torch

from parefront.hardware_profiles import load_profile
from parefront.spaces import Network, find_space, trace
from parefront.tasks import Task, TaskData, classification_hits, digest, load_task, trained_network
from parefront.training import predict

MY_TASK = Path(__file__).parent.parent / "examples" / "my_task.py"


@pytest.fixture(scope="module")
def task() -> Task:
    return load_task(str(MY_TASK))


@pytest.fixture(scope="module")
def data(task: Task) -> TaskData:
    return task.load_data()


@pytest.fixture(scope="module")
def network(task: Task, data: TaskData) -> Network:
    return trace(task.build_network().eval(), data.train.inputs[:2])


def test_its_space_holds_all_four_techniques(network: Network) -> None:
    space = find_space(network, load_profile("cpu-ort-1t").capabilities)
    assert {site.technique for site in space.sites} == {"fold", "rank", "prune", "bits"}
    # Both blocks may become one layer each, and so may the two linear layers at the end.
    folds = [site.layers for site in space.sites if site.technique == "fold"]
    assert folds == [
        ("blocks.0.conv1", "blocks.0.conv2"),
        ("blocks.1.conv1", "blocks.1.conv2"),
        ("hidden", "classifier"),
    ]


def test_its_network_starts_the_same_every_time(task: Task) -> None:
    first, second = (digest(task.build_network().state_dict()) for _ in range(2))
    assert first == second


def test_its_splits_share_no_image(data: TaskData) -> None:
    images = [
        {tuple(image.flatten().tolist()) for image in split.inputs}
        for split in (data.train, data.validation, data.test)
    ]
    assert [len(split) for split in images] == [1000, 400, 397]
    assert not images[0] & images[1]
    assert not images[1] & images[2]
    assert not images[0] & images[2]


def test_its_recipe_trains_a_usable_network(task: Task, data: TaskData) -> None:
    network = trained_network(task, data.train)
    with torch.no_grad():
        hits = classification_hits(predict(network, data.validation), data.validation.targets)
    assert 100 * hits.mean().item() > 90
