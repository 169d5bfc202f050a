import random

import pytest

from parefront.evaluators import CostTables
from parefront.search.layer_sum import LayerSum, weight_bytes
from parefront.search.moves import random_configuration
from parefront.spaces import Configuration, SearchSpace


@pytest.fixture
def tables(small_space: SearchSpace) -> CostTables:
    return CostTables(small_space)


def plain_sum(tables: CostTables, *, is_stored: bool = False) -> LayerSum:
    return LayerSum(tables.layers({}), weight_bytes if is_stored else None)


def test_before_anything_is_measured_fewer_multiplications_and_fewer_bits_are_cheaper(tables: CostTables) -> None:
    fit = plain_sum(tables)
    # The parts of the uncompressed network and what belongs to no layer, 5 %, are the whole.
    assert sum(fit.share(layer) for layer in tables.layers({})) == pytest.approx(0.95)
    assert fit.value(tables.layers({})) == pytest.approx(1.0)
    pruned, int8 = tables.layers({"prune/a": 16}), tables.layers({"bits/a": 8, "bits/b": 8})
    assert fit.value(pruned) < 0.7
    # All multiplications save 0.4, and all bytes, a twentieth, three quarters of it and less for scales and biases.
    assert 0.55 < fit.value(int8) < 0.6


def test_what_is_stored_goes_with_the_bytes(tables: CostTables) -> None:
    fit = plain_sum(tables, is_stored=True)
    fit.add(tables.layers({}), 13_984.0)
    # 1152 + 2304 weights in float and 40 biases are 13984 bytes; in int8 3456 bytes, 12 a bias and 5 a channel.
    assert fit.value(tables.layers({"bits/a": 8, "bits/b": 8})) == pytest.approx(3456 + 40 * 17, rel=1e-6)


def test_a_linear_truth_is_learnt_from_whole_networks(small_space: SearchSpace, tables: CostTables) -> None:
    def truth(configuration: Configuration) -> float:
        """0.2 ms, and per layer 10 ns per MAC, in int8 3 ns; layer b takes 1.5 times as long as others."""
        milliseconds = 0.2
        for form in tables.forms(configuration):
            milliseconds += (1.5 if form.layer == "b" else 1.0) * form.macs * (3e-6 if form.bits == 8 else 1e-5)
        return milliseconds

    rng = random.Random(0)
    fit = plain_sum(tables)
    for configuration in [Configuration(), *(random_configuration(small_space, rng) for _ in range(60))]:
        fit.add(tables.layers(configuration), truth(configuration))
    errors = []
    for _ in range(50):
        configuration = random_configuration(small_space, rng)
        errors.append(abs(fit.value(tables.layers(configuration)) / truth(configuration) - 1))
    assert sum(errors) / len(errors) < 0.05


def test_no_layer_is_ever_free(small_space: SearchSpace, tables: CostTables) -> None:
    """Measurements that say smaller is slower must not turn the search round."""
    fit = plain_sum(tables)
    for width in (32, 24, 16, 8) * 5:
        fit.add(tables.layers({"prune/a": width}), 1.0 + (32 - width))
    for width in (32, 24, 16, 8):
        assert all(fit.share(layer) > 0 for layer in tables.layers({"prune/a": width}))
