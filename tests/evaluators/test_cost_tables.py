import random
import statistics
from collections.abc import Mapping, Sized
from pathlib import Path

import pytest
import torch
from torch import nn

from parefront.evaluators import cost_tables as module
from parefront.evaluators.cost_tables import CostTables
from parefront.evaluators.macs import count_macs
from parefront.evaluators.operator_times import UNTRIED
from parefront.hardware_profiles import HardwareProfile, OperatorTime
from parefront.hardware_profiles.runtimes import get_runtime
from parefront.spaces import (
    Choice,
    CompressionOptions,
    Configuration,
    Network,
    SearchSpace,
    Site,
    find_space,
    finish,
    prepare,
)
from parefront.spaces.network import Layer
from parefront.spaces.space import LayerWidths

# Two 3 x 3 convolutions on 8 x 8 pixels, 4 → 32 → 8 channels.
# Weights: a 4 * 32 * 9 = 1152, b 32 * 8 * 9 = 2304. MACs: 64 times that.
A_WEIGHTS, B_WEIGHTS = 1152, 2304


@pytest.fixture
def space() -> SearchSpace:
    first = Layer("a", "conv", 4, 32, (3, 3), (1, 1), 1, 64)
    second = Layer("b", "conv", 32, 8, (3, 3), (1, 1), 1, 64)
    return SearchSpace(
        sites=(
            Site("fold/a", ("a", "b"), ("off", "on")),
            Site("rank/b", ("b",), ("full", "spatial:16", "spatial:8")),
            Site("prune/a", ("a",), (32, 24, 16, 8)),
            Site("bits/a", ("a",), (32, 8)),
            Site("bits/b", ("b",), (32, 8)),
        ),
        left_alone=(),
        widths={"a": LayerWidths(first, (), ("prune/a", 32)), "b": LayerWidths(second, (("prune/a", 32, 32),), None)},
    )


@pytest.fixture
def tables(space: SearchSpace) -> CostTables:
    return CostTables(space)


def observe(tables: CostTables, choices: Mapping[str, Choice], size_bytes: float = 0.0, **layers: float) -> None:
    """Adds a candidate whose operators take so many µs and whose latency is their sum."""
    times = [
        OperatorTime(None if name == "other" else name.replace("_", "."), "Conv", "fp32", microseconds)
        for name, microseconds in layers.items()
    ]
    tables.observe(choices, times, sum(layers.values()) / 1000, size_bytes)


def operators(tables: CostTables, choices: Mapping[str, Choice]) -> dict[str, float]:
    """Predicted µs of the operators of each layer."""
    return {form.layer: tables.operator_us(form) for form in tables.forms(choices)}


def test_what_was_observed_is_looked_up_exactly(tables: CostTables) -> None:
    observe(tables, {}, a=10.0, b=20.0, other=2.0)
    observe(tables, {"prune/a": 16}, a=7.0, b=11.0, other=2.0)
    assert operators(tables, {}) == pytest.approx({"a": 10.0, "b": 20.0})
    assert operators(tables, {"prune/a": 16}) == pytest.approx({"a": 7.0, "b": 11.0})
    assert tables.latency_ms({}) == pytest.approx(0.032, rel=1e-3)
    assert tables.latency_ms({"prune/a": 16}) == pytest.approx(0.020, rel=1e-3)


def test_the_latency_is_the_sum_of_its_parts(tables: CostTables) -> None:
    observe(tables, {}, a=10.0, b=20.0, other=2.0)
    observe(tables, {"bits/b": 8}, a=10.0, b=6.0, other=5.0)
    fixed = tables.latency_ms({}) - sum(tables.layer_cost(layer, {})[0] for layer in "ab")
    choices: dict[str, Choice] = {"bits/b": 8, "prune/a": 24}
    assert tables.latency_ms(choices) == pytest.approx(fixed + sum(tables.layer_cost(la, choices)[0] for la in "ab"))


def test_of_several_observations_the_median_counts(tables: CostTables) -> None:
    for microseconds in (10.0, 11.0, 60.0):
        observe(tables, {}, a=microseconds, b=20.0, other=2.0)
    assert operators(tables, {})["a"] == pytest.approx(11.0)


def test_a_conversion_between_two_precisions_is_counted_where_it_stands(tables: CostTables) -> None:
    observe(tables, {}, a=10.0, b=20.0, other=2.0)
    observe(tables, {"bits/a": 8, "bits/b": 8}, a=3.0, b=6.0, other=2.0)
    for _ in range(3):
        observe(tables, {"bits/b": 8}, a=10.0, b=6.0, other=9.0)
    # 7 µs more between a in float and b in int8: they are part of a's cost, and go when b goes back to float.
    assert tables.latency_ms({"bits/b": 8}) == pytest.approx(0.025, rel=0.01)
    cost = tables.layer_cost("a", {"bits/b": 8})[0] - tables.layer_cost("a", {})[0]
    assert cost == pytest.approx(0.007, rel=0.03)


def test_what_profiling_adds_to_every_operator_is_taken_off(tables: CostTables) -> None:
    times = [OperatorTime("a", "Conv", "fp32", 12.0), OperatorTime("b", "Conv", "fp32", 22.0)]
    times.append(OperatorTime(None, "Softmax", "fp32", 4.0))
    # 38 µs profiled, 32 measured: 2 µs too many for each of 3 operators.
    tables.observe({}, times, 0.032, 0.0)
    assert operators(tables, {}) == pytest.approx({"a": 10.0, "b": 20.0})
    assert tables.latency_ms({}) == pytest.approx(0.032, rel=1e-3)


@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_a_profile_taken_at_another_clock_rate_is_brought_to_the_latency(tables: CostTables, speed: float) -> None:
    times = [OperatorTime(name, "Conv", "fp32", microseconds) for name, microseconds in (("a", 1000.0), ("b", 2000.0))]
    tables.observe({}, times, 3.0 / speed, 0.0)
    # At half the speed 6000 µs instead of 3000, in the same proportion; none of it is taken for the profiler's.
    assert operators(tables, {}) == pytest.approx({"a": 1000 / speed, "b": 2000 / speed}, rel=5e-3)


def test_a_folded_pair_is_one_layer(tables: CostTables, space: SearchSpace) -> None:
    on = {"fold/a": "on"}
    assert tables.layer_cost("b", on) == (0.0, 0.0)
    observe(tables, {}, a=10.0, b=20.0, other=2.0)
    observe(tables, on, a=5.0, other=2.0)
    assert tables.latency_ms(on) == pytest.approx(0.007, rel=1e-3)
    assert tables.latency_ms(space.canonical({**on, "prune/a": 8})) == pytest.approx(0.007, rel=1e-3)


def test_a_factorised_layer_has_the_time_of_all_factors(tables: CostTables) -> None:
    observe(tables, {"rank/b": "spatial:16"}, a=10.0, b_0=8.0, b_1=4.0, other=2.0)
    assert operators(tables, {"rank/b": "spatial:16"})["b"] == pytest.approx(12.0)
    observe(tables, {"rank/b": "tucker:16x8"}, a=10.0, b_0=2.0, b_1=6.0, b_2=1.0, other=2.0)
    assert operators(tables, {"rank/b": "tucker:16x8"})["b"] == pytest.approx(9.0)


def test_factors_that_the_runtime_names_otherwise_share_the_layer_s_time(tables: CostTables) -> None:
    observe(tables, {"rank/b": "spatial:16"}, a=10.0, b=12.0, other=2.0)
    assert operators(tables, {"rank/b": "spatial:16"})["b"] == pytest.approx(12.0)


def test_the_weights_are_counted_exactly(tables: CostTables) -> None:
    # Per weight 4 bytes in fp32 and 1 in int8; per output channel 4 for the bias, and in int8 4 for each of two scales
    # and 5 for their zero points.
    fp32 = 4 * (A_WEIGHTS + B_WEIGHTS) + 4 * (32 + 8)
    observe(tables, {}, size_bytes=fp32 + 700, a=10.0, b=20.0)
    assert tables.size_bytes({}) == pytest.approx(fp32 + 700)
    assert tables.size_bytes({"bits/a": 8}) == pytest.approx(fp32 + 700 - 3 * A_WEIGHTS + 13 * 32)
    # At 16 channels half the weights of both, and 16 biases fewer.
    assert tables.size_bytes({"prune/a": 16}) == pytest.approx(2 * (A_WEIGHTS + B_WEIGHTS) + 4 * (16 + 8) + 700)


def test_the_graph_is_counted_per_layer(tables: CostTables) -> None:
    two_layers, one_layer = 4 * (A_WEIGHTS + B_WEIGHTS) + 4 * (32 + 8), 4 * 800 + 4 * 8
    observe(tables, {}, size_bytes=two_layers + 900, a=10.0, b=20.0)
    observe(tables, {"fold/a": "on"}, size_bytes=one_layer + 500, a=5.0)
    # 100 bytes for the file and 400 per layer.
    assert tables.size_bytes({}) == pytest.approx(two_layers + 900)
    assert tables.size_bytes({"fold/a": "on"}) == pytest.approx(one_layer + 500)


def test_a_site_changes_only_the_layers_under_it(tables: CostTables, space: SearchSpace) -> None:
    observe(tables, {}, size_bytes=9000, a=10.0, b=20.0, other=2.0)
    observe(tables, {"bits/b": 8}, size_bytes=8000, a=10.0, b=6.0, other=9.0)
    for site in space.sites:
        under = tables.layers_under(site)
        for start in ({}, {"fold/a": "on"}, {"prune/a": 16, "bits/b": 8}):
            for choice in site.choices:
                changed = {**start, site.name: choice}
                for layer in set(space.widths) - set(under):
                    assert tables.layer_cost(layer, changed) == tables.layer_cost(layer, start)


def test_before_anything_is_observed_the_macs_stand_in(tables: CostTables) -> None:
    # Outputs in blocks of 16 channels: 32 → 8 counts as 32 → 16, but 4 → 32 as it is. At 1 µs per MAC.
    assert tables.latency_ms({}) == pytest.approx((4 + 16) * 32 * 9 * 64 / 1000)


def test_operators_of_a_kind_that_was_never_timed_are_in_doubt(tables: CostTables) -> None:
    # At 1 µs per MAC in blocks, as above.
    assert tables.cost({}).doubt_ms == pytest.approx((UNTRIED - 1) * (4 + 16) * 32 * 9 * 64 / 1000)
    observe(tables, {}, a=10.0, b=20.0, other=2.0)
    assert tables.cost({}).doubt_ms == tables.cost({"prune/a": 16}).doubt_ms == 0
    in_int8: dict[str, Choice] = {"bits/b": 8}
    layer = tables.layer("b", in_int8)
    assert layer is not None
    assert layer.doubt_us == pytest.approx((UNTRIED - 1) * layer.operator_us)
    # The latency is what is expected; the doubt stands beside it, and counts in what a layer may take at worst.
    assert tables.cost(in_int8).doubt_ms == pytest.approx(layer.doubt_us / 1000)
    assert tables.layer_cost("b", in_int8)[0] == pytest.approx((layer.microseconds + layer.doubt_us) / 1000)
    fixed_ms = tables.latency_ms({}) - sum(tables.layer_cost(name, {})[0] for name in "ab")
    expected_us = sum(each.microseconds for each in tables.layers(in_int8))
    assert tables.latency_ms(in_int8) == pytest.approx(fixed_ms + expected_us / 1000)
    observe(tables, in_int8, a=10.0, b=6.0, other=5.0)
    assert tables.cost(in_int8).doubt_ms == 0


def test_the_macs_of_a_layer(tables: CostTables) -> None:
    assert tables.macs({}) == 64 * (A_WEIGHTS + B_WEIGHTS)
    assert tables.cost({}).n_weights == A_WEIGHTS + B_WEIGHTS
    assert tables.layer_macs("b", {"prune/a": 8}) == 64 * B_WEIGHTS // 4
    # Merged they are one 5 x 5 convolution of 4 → 8 channels.
    assert tables.layer_macs("a", {"fold/a": "on"}) == tables.macs({"fold/a": "on"}) == 64 * 25 * 4 * 8
    assert tables.layer_macs("b", {"fold/a": "on"}) == 0


def test_all_costs_at_once_are_the_same(tables: CostTables) -> None:
    observe(tables, {}, size_bytes=15_000, a=10.0, b=20.0, other=2.0)
    choices: dict[str, Choice] = {"prune/a": 16, "bits/b": 8}
    cost = tables.cost(choices)
    assert cost.latency_ms == tables.latency_ms(choices)
    assert cost.size_bytes == tables.size_bytes(choices)
    assert tables.cost(Configuration.of(choices)) == cost
    assert tables.cost({**choices, "fold/a": "off", "bits/a": 32}) == cost


def test_what_is_remembered_is_forgotten_with_an_observation(tables: CostTables) -> None:
    observe(tables, {}, size_bytes=15_000, a=10.0, b=20.0, other=2.0)
    assert operators(tables, {}) == pytest.approx({"a": 10.0, "b": 20.0})
    for _ in range(2):
        observe(tables, {}, size_bytes=15_000, a=30.0, b=20.0, other=2.0)
    assert tables.layers({})[0].operator_us == pytest.approx(30.0)


def test_a_layer_that_other_sites_leave_as_it_is_has_one_price(tables: CostTables) -> None:
    observe(tables, {}, a=10.0, b=20.0, other=2.0)
    plain = tables.layer("a", {})
    assert tables.layer("a", {"rank/b": "spatial:16"}) is plain
    assert tables.layer("a", {"bits/b": 8}) is not plain  # in front of another precision
    assert tables.layer("a", {"prune/a": 16}) is not plain
    # It is priced anew after an observation, wherever it stands.
    observe(tables, {}, a=30.0, b=20.0, other=2.0)
    for choices in ({}, {"rank/b": "spatial:16"}):
        cost = tables.layer("a", choices)
        assert cost is not None
        assert cost.operator_us == pytest.approx((10.0 * 30.0) ** 0.5)  # the median of two, of their logarithms


def test_memory_is_bounded(tables: CostTables, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [tables.latency_ms({"prune/a": width}) for width in (32, 24, 16, 8)]
    monkeypatch.setattr(module, "MAX_REMEMBERED", 3)
    assert [tables.latency_ms({"prune/a": width}) for width in (32, 24, 16, 8)] == expected
    tables.observe({}, [OperatorTime("a", "Conv", "fp32", 12.0)], 0.032, 0.0)
    for width in (32, 24, 16, 8):
        tables.latency_ms({"prune/a": width})
    remembered: list[Sized] = [tables._costs, tables._places, tables._distinct, tables._prices]
    assert all(len(each) <= 3 for each in remembered)


def drawn(space: SearchSpace, n: int) -> list[Configuration]:
    generator = random.Random(0)
    found = []
    for _ in range(n):
        strength = generator.random()
        choices = {s.name: generator.choice(s.choices) for s in space.sites if generator.random() < strength}
        found.append(space.canonical(choices))
    return found


def test_macs_and_weights_are_those_of_the_finished_network(tiny_network: Network, tiny_space: SearchSpace) -> None:
    tables, inputs = CostTables(tiny_space), torch.zeros(2, 1, 8, 8)
    for configuration in drawn(tiny_space, 12):
        finished = finish(prepare(tiny_network, configuration), configuration, inputs).module
        cost = tables.cost(configuration)
        assert cost.macs == count_macs(finished, (inputs,))
        weights = [m.weight.numel() for m in finished.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert cost.n_weights == sum(weights)


def test_sizes_of_unseen_files_are_predicted(
    tiny_network: Network, tiny_space: SearchSpace, fast_profile: HardwareProfile, tmp_path: Path
) -> None:
    tables, inputs = CostTables(tiny_space), torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    runtime, path = get_runtime(fast_profile.runtime.name), tmp_path / "model.onnx"
    errors = []
    for number, configuration in enumerate([Configuration(), *drawn(tiny_space, 20)]):
        finished = finish(prepare(tiny_network, configuration), configuration, inputs)
        runtime.export(finished.module, (inputs[:2],), finished.plan, path)
        size = path.stat().st_size
        if number > 13:
            errors.append(abs(tables.size_bytes(configuration) - size))
        tables.observe(configuration, [OperatorTime("stem", "Conv", "fp32", 12.0)], 0.012, size)
    # Of the uncompressed file; those of this network are up to a half graph, of which some is learnt by then.
    assert statistics.median(errors) < 0.01 * tables.size_bytes({})


def test_the_work_of_other_operators_is_that_of_the_finished_network(
    tiny_network: Network, fast_profile: HardwareProfile
) -> None:
    space = find_space(tiny_network, fast_profile.capabilities, CompressionOptions(has_operators=True))
    tables, inputs = CostTables(space), torch.zeros(2, 1, 8, 8)
    operators = [site for site in space.sites if site.technique == "operator"]
    kinds = {str(choice) for site in operators for choice in site.choices}
    assert kinds == {"full", "fire:8", "separable", "pointwise"}
    configurations = [
        space.canonical({**dict(each), site.name: choice})
        for each in drawn(space, 3)
        for site in operators
        for choice in site.choices[1:]
    ]
    for configuration in configurations:
        finished = finish(prepare(tiny_network, configuration), configuration, inputs).module
        assert tables.macs(configuration) == count_macs(finished, (inputs,))
