from pathlib import Path

import pytest
import torch

from parefront.evaluators.candidate_training import CandidateTraining
from parefront.evaluators.inheritance import Inheritance
from parefront.spaces import Configuration, Network, SearchSpace, prepare
from parefront.tasks import Task, TaskData
from parefront.training import changed_layers
from parefront.training import checkpoint as module

A, B = Configuration.of({"prune/hidden": 16}), Configuration.of({"prune/hidden": 8})


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def data(tiny_task: Task) -> TaskData:
    return tiny_task.load_data()


def training(
    task: Task,
    network: Network,
    space: SearchSpace,
    folder: Path,
    seed: int = 0,
    inheritance: Inheritance = Inheritance.WEIGHTS,
) -> CandidateTraining:
    return CandidateTraining(
        task, task.build_network().eval(), network, space, task.load_data().train.inputs, folder, seed, inheritance
    )


def weights(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([value.flatten().double() for value in module.state_dict().values()])


def test_without_ended_trials_it_starts_from_the_uncompressed_network(
    tiny_task: Task, tiny_network: Network, tiny_space: SearchSpace, tmp_path: Path
) -> None:
    start = training(tiny_task, tiny_network, tiny_space, tmp_path).start(A)
    assert (start.parent, start.share) == (None, 0.0)
    assert torch.equal(weights(start.module), weights(prepare(tiny_network, A)))
    assert list(tmp_path.iterdir()) == []


def test_a_child_starts_from_its_parent_in_another_process_too(
    tiny_task: Task, tiny_network: Network, tiny_space: SearchSpace, data: TaskData, tmp_path: Path
) -> None:
    first = training(tiny_task, tiny_network, tiny_space, tmp_path)
    parent = first.start(A)
    first.train(parent, data.train, tiny_task.short_recipe)
    first.keep(parent, [])
    assert first.start(B).parent is None  # its trial is not in the record yet
    children = [first.start(B, [A]), training(tiny_task, tiny_network, tiny_space, tmp_path).start(B, [A])]
    for child in children:
        assert child.parent == A
        assert child.share == 1
        assert torch.equal(child.module.get_submodule("stem").weight, parent.module.get_submodule("stem").weight)
        first.train(child, data.train, tiny_task.short_recipe)
    assert torch.equal(weights(children[0].module), weights(children[1].module))


def test_a_child_may_train_only_what_differs_from_its_parent(
    tiny_task: Task, tiny_network: Network, tiny_space: SearchSpace, data: TaskData, tmp_path: Path
) -> None:
    bench = training(tiny_task, tiny_network, tiny_space, tmp_path, inheritance=Inheritance.SEGMENT)
    parent = bench.start(A)
    assert parent.layers is None  # without a parent of its own everything is trained
    bench.train(parent, data.train, tiny_task.short_recipe)
    bench.keep(parent, [])
    child = bench.start(B, [A])
    assert child.layers == changed_layers(tiny_space, B, A)
    before = {name: value.clone() for name, value in child.module.state_dict().items()}
    bench.train(child, data.train, tiny_task.short_recipe)
    differing = {name for name, value in child.module.state_dict().items() if not torch.equal(value, before[name])}
    assert "hidden.weight" in differing
    assert not {name for name in differing if name.startswith("stem")}


def test_a_killed_training_goes_on(
    tiny_task: Task,
    tiny_network: Network,
    tiny_space: SearchSpace,
    data: TaskData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module.Checkpoint, "is_due", lambda self: True)
    whole = training(tiny_task, tiny_network, tiny_space, tmp_path / "whole")
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    expected = whole.start(A)
    whole.train(expected, data.train, tiny_task.full_recipe)

    def kill(step: int, total: int) -> None:
        if step == 6:
            raise KilledError

    killed = training(tiny_task, tiny_network, tiny_space, tmp_path / "killed")
    with pytest.raises(KilledError):
        killed.train(killed.start(A), data.train, tiny_task.full_recipe, kill)
    steps: list[int] = []
    again = training(tiny_task, tiny_network, tiny_space, tmp_path / "killed")
    # Another candidate, another recipe and another seed have nothing to do with it.
    for other, configuration, recipe in (
        (again, B, tiny_task.full_recipe),
        (again, A, tiny_task.short_recipe),
        (training(tiny_task, tiny_network, tiny_space, tmp_path / "killed", seed=1), A, tiny_task.full_recipe),
    ):
        steps.clear()
        other.train(other.start(configuration), data.train, recipe, lambda step, total: steps.append(step))
        assert steps[0] == 1
    steps.clear()
    start = again.start(A)
    again.train(start, data.train, tiny_task.full_recipe, lambda step, total: steps.append(step))
    assert steps == [6, 7, 8]
    assert torch.equal(weights(start.module), weights(expected.module))
    assert list((tmp_path / "killed").iterdir()) == []


def test_low_rank_layers_are_fitted_before_the_training(
    tiny_task: Task, tiny_network: Network, tiny_space: SearchSpace, data: TaskData, tmp_path: Path
) -> None:
    site = next(site for site in tiny_space.sites if site.technique == "rank" and len(site.choices) > 1)
    configuration = Configuration.of({site.name: site.choices[-1]})
    inputs = data.train.inputs[:128]
    original = tiny_network.module.eval()(inputs).detach()

    def error(candidate: torch.nn.Module) -> float:
        with torch.no_grad():
            return float((candidate.eval()(inputs) - original).square().mean())

    fitted = training(tiny_task, tiny_network, tiny_space, tmp_path).start(configuration).module
    assert error(fitted) < error(prepare(tiny_network, configuration))
