import dataclasses

import torch

from parefront.evaluators.results_key import results_key
from parefront.tasks import Task
from parefront.training import Split


def test_weights_data_and_recipes_change_it_and_nothing_else(tiny_task: Task) -> None:
    data, network = tiny_task.load_data(), tiny_task.build_network()
    key = results_key(tiny_task, data, network)
    assert results_key(dataclasses.replace(tiny_task, name="other"), tiny_task.load_data(), network) == key
    fewer = dataclasses.replace(data, test=Split(data.test.inputs[1:], data.test.targets[1:]))
    assert results_key(tiny_task, fewer, network) != key
    longer = dataclasses.replace(tiny_task.full_recipe, n_samples=tiny_task.full_recipe.n_samples + 1)
    assert results_key(dataclasses.replace(tiny_task, full_recipe=longer), data, network) != key
    with torch.no_grad():
        next(network.parameters()).add_(1.0)
    assert results_key(tiny_task, data, network) != key
