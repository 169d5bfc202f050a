from collections.abc import Mapping

import pytest

from parefront.evaluators.cost_tables import CostTables
from parefront.hardware_profiles import OperatorTime
from parefront.spaces import Choice, SearchSpace, Site
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
        OperatorTime(None if name == "other" else name.replace("_", "."), "Conv", False, microseconds)
        for name, microseconds in layers.items()
    ]
    tables.observe(choices, times, sum(layers.values()) / 1000, size_bytes)


def test_what_was_observed_is_looked_up_exactly(tables: CostTables) -> None:
    observe(tables, {}, a=10.0, b=20.0, other=2.0)
    observe(tables, {"prune/a": 16}, a=7.0, b=11.0, other=2.0)
    assert tables.latency_ms({}) == pytest.approx(0.032)
    assert tables.latency_ms({"prune/a": 16}) == pytest.approx(0.020)
    assert tables.layer_cost("a", {})[0] == pytest.approx(0.010)


def test_of_several_observations_the_median_counts(tables: CostTables) -> None:
    for microseconds in (10.0, 11.0, 60.0):
        observe(tables, {}, a=microseconds, b=20.0, other=2.0)
    assert tables.layer_cost("a", {})[0] == pytest.approx(0.011)


def test_between_two_widths_it_is_a_straight_line_in_the_macs(tables: CostTables) -> None:
    observe(tables, {}, a=10.0, b=20.0, other=2.0)
    observe(tables, {"prune/a": 16}, a=6.0, b=12.0, other=2.0)
    # 24 of 32 channels lie halfway between 16 and 32, 8 as far below 16 as 24 above it.
    assert tables.layer_cost("a", {"prune/a": 24})[0] == pytest.approx(0.008)
    assert tables.layer_cost("b", {"prune/a": 24})[0] == pytest.approx(0.016)
    assert tables.layer_cost("b", {"prune/a": 8})[0] == pytest.approx(0.008)
    assert tables.latency_ms({"prune/a": 24}) == pytest.approx(0.026)


def test_from_one_width_part_of_the_time_is_taken_as_fixed(tables: CostTables) -> None:
    observe(tables, {}, a=10.0, b=20.0, other=2.0)
    # 0.3 + 0.7 * 16 / 32 of the time at full width.
    assert tables.layer_cost("a", {"prune/a": 16})[0] == pytest.approx(0.0065)


def test_each_bit_width_has_its_own_times(tables: CostTables) -> None:
    observe(tables, {}, a=10.0, b=20.0, other=2.0)
    observe(tables, {"bits/a": 8}, a=3.0, b=20.0, other=2.0)
    assert tables.layer_cost("a", {"bits/a": 8})[0] == pytest.approx(0.003)
    assert tables.layer_cost("a", {})[0] == pytest.approx(0.010)
    # b was never seen in 8 bits: the line through the one 8-bit layer there is, at b's MACs, twice those of a.
    assert tables.layer_cost("b", {"bits/b": 8})[0] == pytest.approx(0.003 * (0.3 + 0.7 * 2))


def test_what_profiling_adds_to_every_operator_is_taken_off(tables: CostTables) -> None:
    times = [OperatorTime("a", "Conv", False, 12.0), OperatorTime("b", "Conv", False, 22.0)]
    times.append(OperatorTime(None, "Softmax", False, 4.0))
    # 38 µs profiled, 32 measured: 2 µs too many for each of 3 operators.
    tables.observe({}, times, 0.032, 0.0)
    assert tables.layer_cost("a", {})[0] == pytest.approx(0.010)
    assert tables.layer_cost("b", {})[0] == pytest.approx(0.020)
    assert tables.latency_ms({}) == pytest.approx(0.032)


def test_a_folded_pair_is_one_layer_with_a_merged_kernel(tables: CostTables, space: SearchSpace) -> None:
    on = {"fold/a": "on"}
    (merged,) = tables.forms(on)
    # 3 + (3 - 1) = 5: 4 * 8 * 25 weights at 64 positions; the inner width is gone.
    assert (merged.layer, merged.kind, merged.weights, merged.macs) == ("a", "merged", 800, 800 * 64)
    assert tables.layer_cost("b", on) == (0.0, 0.0)
    observe(tables, {}, a=10.0, b=20.0, other=2.0)
    observe(tables, on, a=5.0, other=2.0)
    assert tables.latency_ms(on) == pytest.approx(0.007)
    assert tables.latency_ms(space.canonical({**on, "prune/a": 8})) == pytest.approx(0.007)


def test_a_factorised_layer_has_the_time_of_both_factors(tables: CostTables) -> None:
    ranked = {"rank/b": "spatial:16"}
    form = tables.forms(ranked)[1]
    # r * (in * 3 + out * 3) = 16 * (96 + 24)
    assert (form.kind, form.weights) == ("spatial", 1920)
    observe(tables, ranked, a=10.0, b_0=8.0, b_1=4.0, other=2.0)
    assert tables.layer_cost("b", ranked)[0] == pytest.approx(0.012)
    # Rank 8 was not seen: 960 of 1920 weights, 0.3 + 0.7 / 2 of the time.
    assert tables.layer_cost("b", {"rank/b": "spatial:8"})[0] == pytest.approx(0.012 * 0.65)


def test_every_factor_counts(tables: CostTables) -> None:
    ranked = {"rank/b": "tucker:16x8"}
    form = tables.forms(ranked)[1]
    # C r1 + r1 r2 k² + r2 N = 32 * 16 + 16 * 8 * 9 + 8 * 8
    assert (form.kind, form.weights, form.macs) == ("tucker", 1728, 1728 * 64)
    observe(tables, ranked, a=10.0, b_0=2.0, b_1=6.0, b_2=1.0, other=2.0)
    assert tables.layer_cost("b", ranked)[0] == pytest.approx(0.009)


def test_the_weights_are_counted_exactly(tables: CostTables) -> None:
    # Per weight 4 bytes in fp32 and 1 in int8; per output channel 4 for the bias, and in int8 4 for each of two scales.
    fp32 = 4 * (A_WEIGHTS + B_WEIGHTS) + 4 * (32 + 8)
    observe(tables, {}, size_bytes=fp32 + 700, a=10.0, b=20.0)
    assert tables.size_bytes({}) == fp32 + 700
    assert tables.size_bytes({"bits/a": 8}) == fp32 + 700 - 3 * A_WEIGHTS + 8 * 32
    # At 16 channels half the weights of both, and 16 biases fewer.
    assert tables.size_bytes({"prune/a": 16}) == 2 * (A_WEIGHTS + B_WEIGHTS) + 4 * (16 + 8) + 700


def test_the_graph_is_counted_per_layer(tables: CostTables) -> None:
    two_layers, one_layer = 4 * (A_WEIGHTS + B_WEIGHTS) + 4 * (32 + 8), 4 * 800 + 4 * 8
    observe(tables, {}, size_bytes=two_layers + 900, a=10.0, b=20.0)
    observe(tables, {"fold/a": "on"}, size_bytes=one_layer + 500, a=5.0)
    # 100 bytes for the file and 400 per layer.
    assert tables.size_bytes({}) == pytest.approx(two_layers + 900)
    assert tables.size_bytes({"fold/a": "on"}) == pytest.approx(one_layer + 500)


def test_a_site_changes_only_the_layers_under_it(tables: CostTables, space: SearchSpace) -> None:
    assert tables.layers_under(space.site("prune/a")) == ("a", "b")  # b reads what a gives
    assert tables.layers_under(space.site("bits/a")) == ("a",)
    for site in space.sites:
        under = tables.layers_under(site)
        for start in ({}, {"fold/a": "on"}, {"prune/a": 16, "bits/b": 8}):
            for choice in site.choices:
                changed = {**start, site.name: choice}
                for layer in set(space.widths) - set(under):
                    assert tables.layer_cost(layer, changed) == tables.layer_cost(layer, start)


def test_before_anything_is_observed_the_macs_stand_in(tables: CostTables) -> None:
    assert tables.latency_ms({}) == pytest.approx((A_WEIGHTS + B_WEIGHTS) * 64 / 1000)
