import dataclasses
import importlib.metadata

import pytest
import torch
from torch import Tensor

from parefront.evaluators.table_keys import operators_path, sensitivity_path
from parefront.hardware_profiles import HardwareProfile, fingerprint, load_profile
from parefront.spaces import DEFAULT_OPTIONS, CompressionOptions, Network, SearchSpace, trace
from parefront.tasks import Task, cache_directory


@pytest.fixture(scope="module")
def inputs() -> Tensor:
    return torch.zeros(4, 1, 8, 8)


def test_tables_lie_in_the_cache_under_names_of_their_own(
    tiny_network: Network, tiny_space: SearchSpace, fast_profile: HardwareProfile, inputs: Tensor
) -> None:
    operators = operators_path(tiny_space, fast_profile, fingerprint(fast_profile))
    sensitivity = sensitivity_path(tiny_network, inputs, DEFAULT_OPTIONS)
    assert operators.parent == sensitivity.parent == cache_directory() / "tables"
    assert operators.name.startswith("operators-")
    assert sensitivity.name.startswith("sensitivity-")


def test_operator_times_depend_on_shapes_profile_machine_and_version(
    tiny_space: SearchSpace, fast_profile: HardwareProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = fingerprint(fast_profile)
    path = operators_path(tiny_space, fast_profile, machine)
    fewer = dict(list(tiny_space.widths.items())[1:])
    without_first = [site for site in tiny_space.sites if "stem" not in site.layers]
    others = [
        operators_path(SearchSpace(tuple(without_first), (), fewer), fast_profile, machine),
        operators_path(tiny_space, load_profile("cpu-ort-2t"), machine),
        operators_path(tiny_space, fast_profile, dataclasses.replace(machine, cpu_model="another")),
    ]
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99")
    others.append(operators_path(tiny_space, fast_profile, machine))
    assert len({path, *others}) == 5


def test_operator_times_are_shared_by_spaces_of_one_network(
    tiny_space: SearchSpace, fast_profile: HardwareProfile
) -> None:
    machine = fingerprint(fast_profile)
    fewer = SearchSpace(tiny_space.sites[1:], (), tiny_space.widths)
    assert operators_path(fewer, fast_profile, machine) == operators_path(tiny_space, fast_profile, machine)


def test_sensitivities_depend_on_weights_inputs_and_options(
    tiny_network: Network, tiny_task: Task, inputs: Tensor
) -> None:
    path = sensitivity_path(tiny_network, inputs, DEFAULT_OPTIONS)
    again = trace(tiny_task.build_network().eval(), torch.zeros(2, 1, 8, 8))
    assert sensitivity_path(again, inputs, DEFAULT_OPTIONS) == path
    trained = tiny_task.build_network().eval()
    with torch.no_grad():
        next(trained.parameters()).mul_(2)
    others = [
        sensitivity_path(trace(trained, torch.zeros(2, 1, 8, 8)), inputs, DEFAULT_OPTIONS),
        sensitivity_path(tiny_network, inputs + 1, DEFAULT_OPTIONS),
        sensitivity_path(tiny_network, inputs, CompressionOptions(has_bias_correction=True)),
    ]
    assert len({path, *others}) == 4
