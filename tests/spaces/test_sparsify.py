import math

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.errors import SpaceError
from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import (
    CompressionOptions,
    Configuration,
    Network,
    executed_part,
    find_space,
    finish,
    prepare,
    trace,
)
from parefront.spaces.sparsify import LEAST_EXECUTED, executed_density, smallest, suffices, without_smallest

EAGER = Capabilities(weight_bits=(32, "bf16"), sparse_density=0.2)
SIDE = math.isqrt(LEAST_EXECUTED)


class Wide(nn.Module):
    """Linear layers of the least size that counts; `twice` is called twice, `few` is smaller, `conv` is none."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(SIDE, SIDE, 1)
        self.wide = nn.Linear(SIDE, SIDE)
        self.norm = nn.BatchNorm1d(SIDE)
        self.twice = nn.Linear(SIDE, SIDE)
        self.few = nn.Linear(SIDE, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.wide(self.conv(x[..., None]).flatten(1))))
        return self.few(torch.relu(self.twice(torch.relu(self.twice(x)))))


@pytest.fixture(scope="module")
def wide() -> Network:
    torch.manual_seed(0)
    return trace(Wide().eval(), torch.zeros(2, SIDE))


def test_the_smallest_magnitudes_go_and_of_equal_ones_the_last() -> None:
    weight = torch.tensor([[3.0, -1.0, 1.0], [0.5, -2.0, 1.0]])
    assert smallest(weight, 50).tolist() == [[False, False, True], [True, False, True]]
    assert not smallest(weight, 0).any()


def test_without_the_smallest_the_others_are_as_they_were() -> None:
    weight = torch.tensor([[3.0, -1.0], [0.5, -2.0]])
    assert without_smallest(weight, 50).tolist() == [[3.0, 0.0], [0.0, -2.0]]
    assert torch.equal(without_smallest(weight, 0), weight)
    assert weight[1, 0] == 0.5  # the argument keeps them


def test_one_weight_always_stays() -> None:
    assert smallest(torch.tensor([2.0, 1.0]), 95).tolist() == [False, True]


def test_a_sparse_layer_and_its_factors_have_zeros() -> None:
    network = trace(nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32)), torch.zeros(2, 32))
    plain = prepare(network, Configuration.of({"sparsity/0": 90}))
    assert int((plain.get_submodule("0").weight == 0).sum()) == 922  # of 1,024, rounded
    assert not (plain.get_submodule("2").weight == 0).any()
    factors = prepare(network, Configuration.of({"sparsity/0": 50, "rank/0": "svd:8"}))
    assert [int((factors.get_submodule(f"0.{i}").weight == 0).sum()) for i in range(2)] == [128, 128]


def test_zeros_are_skipped_from_so_many_on() -> None:
    assert [percent for percent in (0, 50, 70, 80, 95, 100) if suffices(percent, 0.3)] == [70, 80, 95]
    assert not suffices(95, 0.0)
    assert executed_density(LEAST_EXECUTED, 80, 0.2) == pytest.approx(0.2)
    assert executed_density(LEAST_EXECUTED - 1, 80, 0.2) == executed_density(LEAST_EXECUTED, 70, 0.2) == 1


def test_where_storage_does_not_count_what_is_executed_is_offered(wide: Network) -> None:
    def found(capabilities: Capabilities, has_stored: bool) -> dict[str, tuple[int | str, ...]]:
        space = find_space(wide, capabilities, CompressionOptions(has_stored=has_stored, only=("sparsity",)))
        assert space.sparse_density == capabilities.sparse_density
        return {site.layer: site.choices for site in space.sites if site.technique == "sparsity"}

    assert found(EAGER, has_stored=False) == {"wide": (0, 80, 90, 95)}
    assert found(EAGER, has_stored=True) == found(Capabilities(), has_stored=True)
    with pytest.raises(SpaceError, match="unknown technique 'sparsity'"):
        found(Capabilities(), has_stored=False)


def test_a_layer_whose_zeros_are_computed_with_is_left_alone_by_name_and_reason(wide: Network) -> None:
    space = find_space(wide, EAGER, CompressionOptions(only=("sparsity",)))
    assert {each.name: each.reason for each in space.left_alone if each.technique == "sparsity"} == {
        "conv": "the runtime skips the zeros of linear layers only",
        "twice": "it is called in several places",
        "few": f"it has {8 * SIDE} weights, of {LEAST_EXECUTED} on their zeros are worth skipping",
    }


def test_a_finished_network_says_which_layers_skip_their_zeros(wide: Network) -> None:
    every: dict[str, int | str] = {f"sparsity/{name}": 80 for name in ("conv", "wide", "twice", "few")}

    def sparse(choices: dict[str, int | str], density: float = 0.2) -> tuple[str, ...]:
        configuration = Configuration.of(choices)
        inputs = torch.zeros(2, SIDE)
        return finish(prepare(wide, configuration), configuration, inputs, sparse_density=density).plan.sparse

    assert sparse(every) == ("wide",)
    assert sparse(every, density=0.1) == sparse(every, density=0.0) == ()
    assert sparse({**every, "bits/wide": "bf16"}) == ()


def test_weights_that_came_back_are_counted(wide: Network) -> None:
    configuration = Configuration.of({"sparsity/wide": 95})
    module = prepare(wide, configuration)
    with torch.no_grad():
        module.get_parameter("wide.weight")[:: SIDE // 128] = 1.0  # 128 of 512 rows: more than 20 %
    assert finish(module, configuration, torch.zeros(2, SIDE), sparse_density=0.2).plan.sparse == ()


def test_sparsity_is_executed_where_zeros_are_skipped() -> None:
    configuration = Configuration.of({"bits/a": 8, "code/a": "clusters:2", "sparsity/a": 80, "sparsity/b": 80})
    assert dict(executed_part(configuration)) == {"bits/a": 8}
    assert dict(executed_part(configuration, ("b.0", "c"))) == {"bits/a": 8, "sparsity/b": 80}
