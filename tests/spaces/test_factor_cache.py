import gc
import weakref

import torch

from parefront.spaces.factor_cache import FactorCache


class Counter:
    def __init__(self) -> None:
        self.n_calls = 0

    def __call__(self) -> int:
        self.n_calls += 1
        return self.n_calls


def test_a_value_is_computed_once_per_weight_and_name() -> None:
    cache, count = FactorCache(), Counter()
    first, second = torch.ones(2), torch.ones(2)
    assert [cache.get(first, "a", count), cache.get(first, "a", count)] == [1, 1]
    assert cache.get(first, "b", count) == 2
    assert cache.get(second, "a", count) == 3  # equal, but another tensor
    assert cache.get(first, "a", count) == 1


def test_an_edited_weight_is_computed_anew() -> None:
    cache, count = FactorCache(), Counter()
    weight = torch.nn.Parameter(torch.ones(2))
    assert cache.get(weight, "a", count) == 1
    with torch.no_grad():
        weight.mul_(2)
    assert cache.get(weight, "a", count) == 2


def test_a_converted_weight_is_computed_anew() -> None:
    cache, count = FactorCache(), Counter()
    layer = torch.nn.Linear(2, 2)
    assert cache.get(layer.weight, "a", count) == 1
    assert cache.get(layer.to(torch.float64).weight, "a", count) == 2


def test_with_another_tensor_beside_it_is_computed_anew() -> None:
    cache, count = FactorCache(), Counter()
    weight, beside = torch.ones(2), torch.ones(2)
    assert [cache.get(weight, "a", count, beside), cache.get(weight, "a", count, beside)] == [1, 1]
    assert cache.get(weight, "a", count, beside.clone()) == 2
    assert cache.get(weight, "a", count) == 3


def test_a_weight_that_counts_no_edits_is_always_computed() -> None:
    cache, count = FactorCache(), Counter()
    with torch.inference_mode():
        weight = torch.ones(2)
    assert [cache.get(weight, "a", count), cache.get(weight, "a", count)] == [1, 2]


def test_values_go_with_their_weight() -> None:
    cache, weight = FactorCache(), torch.ones(2)
    value = weakref.ref(cache.get(weight, "a", lambda: torch.zeros(3)))
    gc.collect()
    assert value() is not None
    del weight
    gc.collect()
    assert value() is None
