from pathlib import Path

import pytest
import torch

from parefront.evaluators.candidate_networks import CandidateNetworks, one_thread
from parefront.evaluators.candidate_training import CandidateTraining
from parefront.evaluators.stopwatch import Stopwatch
from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import DEFAULT_OPTIONS, Configuration, Finished, Network, SearchSpace, sparsify
from parefront.tasks import Task, TaskData

N_CALIBRATION = 32


@pytest.fixture(scope="module")
def data(tiny_task: Task) -> TaskData:
    return tiny_task.load_data()


@pytest.fixture
def networks(
    tiny_task: Task, tiny_network: Network, tiny_space: SearchSpace, data: TaskData, tmp_path: Path
) -> CandidateNetworks:
    calibration = data.train.inputs[:N_CALIBRATION]
    training = CandidateTraining(tiny_task, tiny_network.module, tiny_network, tiny_space, calibration, tmp_path, 0)
    return CandidateNetworks(tiny_network, training, data.train, calibration, DEFAULT_OPTIONS)


def outputs(finished: Finished, data: TaskData) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = finished.module(data.validation.inputs)
    return found


def test_the_untrained_neutral_network_is_the_baseline(
    networks: CandidateNetworks, tiny_network: Network, data: TaskData
) -> None:
    watch = Stopwatch()
    found = networks.untrained(Configuration(), watch)
    with torch.no_grad():
        expected = tiny_network.module(data.validation.inputs)
    assert torch.allclose(outputs(found, data), expected, atol=1e-5)
    assert set(watch.seconds) == {"prepare"}


def test_each_kind_differs_from_the_one_before(networks: CandidateNetworks, tiny_task: Task, data: TaskData) -> None:
    configuration = Configuration.of({"prune/stem": 8})
    watch = Stopwatch()
    untrained = networks.untrained(configuration, watch)
    calibrated = networks.calibrated(configuration, watch)
    steps: list[int] = []
    trained = networks.trained(configuration, tiny_task.short_recipe, watch, lambda step, total: steps.append(step))
    shapes = {tuple(each.module.stem.weight.shape) for each in (untrained, calibrated, trained)}
    assert shapes == {(8, 1, 3, 3)}
    assert not torch.allclose(outputs(untrained, data), outputs(calibrated, data), atol=1e-3)
    assert not torch.allclose(outputs(calibrated, data), outputs(trained, data), atol=1e-3)
    assert set(watch.seconds) == {"prepare", "train"}
    assert steps


def test_a_child_takes_over_what_an_ended_parent_has_learned(networks: CandidateNetworks, tiny_task: Task) -> None:
    parent, child = Configuration.of({"prune/hidden": 16}), Configuration.of({"prune/hidden": 8})
    _, first = networks.inherited(parent, tiny_task.short_recipe, [], Stopwatch())
    _, second = networks.inherited(child, tiny_task.short_recipe, [parent], Stopwatch())
    assert (first.parent, second.parent, second.share) == (None, parent, 1.0)


def test_layers_skip_their_zeros_where_the_hardware_does(
    networks: CandidateNetworks, tiny_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparsify, "LEAST_EXECUTED", 8_192)  # the weights of `hidden`
    configuration = Configuration.of({"sparsity/hidden": 80})
    assert networks.untrained(configuration, Stopwatch()).plan.sparse == ()
    monkeypatch.setattr(networks, "_capabilities", Capabilities(sparse_density=0.2))
    trained = networks.trained(configuration, tiny_task.short_recipe, Stopwatch())
    assert trained.plan.sparse == ("hidden",)
    n_kept = int(trained.module.get_parameter("hidden.weight").count_nonzero())
    assert n_kept <= 8_192 - 6_554  # 80 %, rounded: the zeros were held


def test_torch_has_its_threads_again_after_small_work() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
