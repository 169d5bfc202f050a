from collections.abc import Mapping

import pytest

from parefront.evaluators.layer_forms import Form, LayerForms
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
def inverted() -> SearchSpace:
    """8 → 48 channels by 1 x 1 on 8 x 8 pixels, depthwise 3 x 3 of stride 2, 48 → 16 by 1 x 1, 16 → 16 by 1 x 1."""
    layers = [
        Layer("a", "conv", 8, 48, (1, 1), (1, 1), 1, 64),
        Layer("b", "conv", 48, 48, (3, 3), (2, 2), 48, 16),
        Layer("c", "conv", 48, 16, (1, 1), (1, 1), 1, 16),
        Layer("d", "conv", 16, 16, (1, 1), (1, 1), 1, 16),
    ]
    folds = (
        Site("fold/a", ("a", "b", "c"), ("off", "on", "on:2"), ((), ("a", "b"), ("a", "b", "c"))),
        Site("fold/b", ("b", "c"), ("off", "on"), ((), ("b", "c"))),
        Site("fold/c", ("c", "d"), ("off", "on"), ((), ("c", "d"))),
        Site("prune/c", ("c",), (16, 8)),
    )
    outputs = {"c": LayerWidths(layers[2], (), ("prune/c", 16)), "d": LayerWidths(layers[3], (("prune/c", 16, 16),))}
    return SearchSpace(folds, (), {layer.name: outputs.get(layer.name, LayerWidths(layer)) for layer in layers})


@pytest.mark.parametrize(
    ("choices", "forms"),
    [
        # Dense 3 x 3 with the expanded channels at one end: 8 * 48 * 9 weights at the 16 positions of the depthwise.
        ({"fold/a": "on"}, {"a": (3456, 16), "c": (768, 16), "d": (256, 16)}),
        ({"fold/b": "on"}, {"a": (384, 64), "b": (48 * 16 * 9, 16), "d": (256, 16)}),
        ({"fold/a": "on:2"}, {"a": (8 * 16 * 9, 16), "d": (256, 16)}),
        ({"fold/a": "on:2", "prune/c": 8}, {"a": (8 * 8 * 9, 16), "d": (128, 16)}),
        # Of folds that overlap the first counts; the third does not overlap with what is left then.
        ({"fold/a": "on:2", "fold/b": "on", "fold/c": "on"}, {"a": (8 * 16 * 9, 16), "d": (256, 16)}),
        ({"fold/a": "on", "fold/b": "on", "fold/c": "on"}, {"a": (3456, 16), "c": (48 * 16, 16)}),
    ],
)
def test_folded_segments_are_one_layer_each(
    inverted: SearchSpace, choices: dict[str, Choice], forms: dict[str, tuple[int, int]]
) -> None:
    found = CostTables(inverted).forms(choices)
    assert {form.layer: (form.weights, form.macs // form.weights) for form in found} == forms


def test_a_depthwise_pair_stays_depthwise() -> None:
    layers = [Layer(name, "conv", 16, 16, (3, 3), (1, 1), 16, 64) for name in "ab"]
    fold, prune = Site("fold/a", ("a", "b"), ("off", "on")), Site("prune/x", ("x",), (16, 8))
    widths = {layer.name: LayerWidths(layer, (("prune/x", 16, 16),), ("prune/x", 16)) for layer in layers}
    tables = CostTables(SearchSpace((fold, prune), (), widths))
    assert [form.weights for form in tables.forms({"fold/a": "on"})] == [16 * 25]
    assert [form.weights for form in tables.forms({"fold/a": "on", "prune/x": 8})] == [8 * 25]
    assert [form.weights for form in tables.forms({"prune/x": 8})] == [8 * 9, 8 * 9]


def test_switching_a_fold_changes_only_the_layers_under_it(inverted: SearchSpace) -> None:
    tables = CostTables(inverted)
    for site in inverted.sites:
        for start in ({}, {"fold/b": "on"}, {"fold/a": "on", "fold/c": "on"}, {"fold/a": "on:2", "fold/b": "on"}):
            for choice in site.choices:
                changed = {**start, site.name: choice}
                for layer in set("abcd") - set(tables.layers_under(site)):
                    assert tables.layer_cost(layer, changed) == tables.layer_cost(layer, start)
    assert tables.layers_under(inverted.site("prune/c")) == ("a", "b", "c", "d")


