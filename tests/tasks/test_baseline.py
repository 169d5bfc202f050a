import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.tasks import Task, TaskData, baseline_file, cache_directory, digest, keep_baseline_file, trained_network
from parefront.training import Split, TrainingRecipe


class Tiny(nn.Module):
    """A linear classifier of the plane behind an activation that a test can exchange."""

    def __init__(self, activation: Callable[[Tensor], Tensor] = torch.tanh) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.activation(x))


def build() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Tiny()


def points(seed: int = 0) -> Split:
    inputs = torch.randn(32, 2, generator=torch.Generator().manual_seed(seed))
    return Split(inputs, (inputs[:, 0] > 0).long())


RECIPE = TrainingRecipe(n_samples=64, learning_rate=0.1, batch_size=8)
TASK = Task(
    name="tiny",
    build_network=build,
    load_data=lambda: TaskData(points(), points(), points()),
    baseline_recipe=RECIPE,
    short_recipe=RECIPE,
    full_recipe=RECIPE,
)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "parefront"


def n_steps(task: Task = TASK, train: Split | None = None, seed: int = 0) -> int:
    """How many steps getting the network took; 0 where the cache served."""
    steps: list[int] = []
    trained_network(task, train or points(), seed=seed, on_step=lambda step, total: steps.append(step))
    return len(steps)


def test_the_cache_lies_where_the_desktop_says(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_directory() == empty_cache
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_directory() == Path("/home/somebody/.cache/parefront")


def test_the_second_call_trains_nothing_and_gives_the_same() -> None:
    steps: list[int] = []
    first = trained_network(TASK, points(), on_step=lambda step, total: steps.append(step))
    assert len(steps) == RECIPE.n_steps(32) == 8
    second = trained_network(TASK, points(), on_step=lambda step, total: steps.append(step))
    assert len(steps) == 8
    assert digest(first.state_dict()) == digest(second.state_dict())
    assert not first.training
    assert not second.training


def test_what_is_in_the_cache_is_trained(empty_cache: Path) -> None:
    network = trained_network(TASK, points())
    assert digest(network.state_dict()) != digest(build().state_dict())
    assert [path.suffix for path in empty_cache.iterdir()] == [".pt"]  # and no partial file


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: b"not a torch file at all",
        lambda content: b"\x80\x02K\x01.",  # a pickle of the number 1
        lambda content: content.replace(b"PK", b"XX"),
    ],
    ids=["empty", "half", "text", "pickle", "no archive"],
)
def test_a_damaged_file_is_trained_again(empty_cache: Path, damage: Callable[[bytes], bytes]) -> None:
    good = digest(trained_network(TASK, points()).state_dict())
    (path,) = empty_cache.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert n_steps() == 8
    assert digest(trained_network(TASK, points()).state_dict()) == good
    assert n_steps() == 0  # and the file is whole again


def test_a_flipped_weight_is_noticed(empty_cache: Path) -> None:
    trained = trained_network(TASK, points())
    (path,) = empty_cache.iterdir()
    content, weight = path.read_bytes(), trained.get_parameter("fc.weight").detach().numpy().tobytes()
    assert content.count(weight) == 1
    path.write_bytes(content.replace(weight, weight[::-1]))
    assert n_steps() == 8


def swapped_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(outputs, 1 - targets)


@pytest.mark.parametrize(
    "task",
    [
        dataclasses.replace(TASK, baseline_recipe=dataclasses.replace(RECIPE, learning_rate=0.2)),
        dataclasses.replace(TASK, build_network=lambda: nn.Sequential(nn.Linear(2, 2))),
        dataclasses.replace(TASK, loss=swapped_loss),
    ],
    ids=["recipe", "network", "loss"],
)
def test_another_task_is_trained_anew(task: Task) -> None:
    assert n_steps() == 8
    assert n_steps(task) == 8
    assert n_steps() == 0


def test_other_data_and_another_seed_are_trained_anew() -> None:
    assert [n_steps(), n_steps(train=points(1)), n_steps(seed=1), n_steps()] == [8, 8, 8, 0]


def test_the_baseline_is_trained_on_augmented_inputs() -> None:
    shapes = []

    def negated(inputs: Tensor, generator: torch.Generator) -> Tensor:
        shapes.append(inputs.shape)
        return -inputs

    task = dataclasses.replace(TASK, augment=negated)
    assert n_steps() == 8
    assert n_steps(task) == 8  # another key
    assert shapes.count(torch.Size([8, 2])) == 8 + 1  # each batch, and the key's own look
    mirrored = Split(-points().inputs, points().targets)
    expected = digest(trained_network(TASK, mirrored).state_dict())
    assert digest(trained_network(task, points()).state_dict()) == expected
    assert n_steps(task) == 0


def test_another_forward_is_trained_anew() -> None:
    def other_code() -> nn.Module:
        network = build()
        assert isinstance(network, Tiny)
        network.activation = torch.sin  # the same weights, the same modules, another function
        return network

    assert n_steps() == 8
    assert n_steps(dataclasses.replace(TASK, build_network=other_code)) == 8


def test_a_network_that_comes_trained_is_left_as_it_is(empty_cache: Path) -> None:
    task = dataclasses.replace(TASK, baseline_recipe=None)
    network = trained_network(task, points())
    assert digest(network.state_dict()) == digest(build().state_dict())
    assert not network.training
    assert not empty_cache.exists()


def test_the_digest_sees_names_shapes_and_values() -> None:
    values = torch.arange(6.0)
    variants = [{"a": values}, {"b": values}, {"a": values.reshape(2, 3)}, {"a": values + 1}]
    assert len({digest(variant) for variant in variants}) == 4
    assert digest({"a": values, "b": values}) == digest({"b": values.clone(), "a": values})
    image = torch.arange(24.0).reshape(1, 2, 3, 4)  # the memory order does not matter
    assert digest({"a": image.contiguous(memory_format=torch.channels_last)}) == digest({"a": image})


def test_another_machine_takes_the_trained_network_over(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = digest(trained_network(TASK, points()).state_dict())
    path = baseline_file(TASK, points())
    assert path is not None
    assert list(cache_directory().iterdir()) == [path]
    content = path.read_bytes()

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    keep_baseline_file(f"../{path.name}", content)
    assert n_steps() == 0
    assert digest(trained_network(TASK, points()).state_dict()) == trained
    keep_baseline_file(path.name, b"what is there already stays")
    assert n_steps() == 0
    assert baseline_file(dataclasses.replace(TASK, baseline_recipe=None), points()) is None
