import torch
from torch import nn

from parefront.spaces import Configuration, prepare, trace
from parefront.spaces.sparsify import smallest


def test_the_smallest_magnitudes_go_and_of_equal_ones_the_last() -> None:
    weight = torch.tensor([[3.0, -1.0, 1.0], [0.5, -2.0, 1.0]])
    assert smallest(weight, 50).tolist() == [[False, False, True], [True, False, True]]
    assert not smallest(weight, 0).any()


def test_one_weight_always_stays() -> None:
    assert smallest(torch.tensor([2.0, 1.0]), 95).tolist() == [False, True]


def test_a_sparse_layer_and_its_factors_have_zeros() -> None:
    network = trace(nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32)), torch.zeros(2, 32))
    plain = prepare(network, Configuration.of({"sparsity/0": 90}))
    assert int((plain.get_submodule("0").weight == 0).sum()) == 922  # of 1,024, rounded
    assert not (plain.get_submodule("2").weight == 0).any()
    factors = prepare(network, Configuration.of({"sparsity/0": 50, "rank/0": "svd:8"}))
    assert [int((factors.get_submodule(f"0.{i}").weight == 0).sum()) for i in range(2)] == [128, 128]
