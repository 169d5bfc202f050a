import dataclasses
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
    found = LayerForms(inverted).of(choices)
    assert {form.layer: (form.weights, form.macs // form.weights) for form in found} == forms


def test_a_depthwise_pair_stays_depthwise() -> None:
    layers = [Layer(name, "conv", 16, 16, (3, 3), (1, 1), 16, 64) for name in "ab"]
    fold, prune = Site("fold/a", ("a", "b"), ("off", "on")), Site("prune/x", ("x",), (16, 8))
    widths = {layer.name: LayerWidths(layer, (("prune/x", 16, 16),), ("prune/x", 16)) for layer in layers}
    forms = LayerForms(SearchSpace((fold, prune), (), widths))
    assert [form.weights for form in forms.of({"fold/a": "on"})] == [16 * 25]
    assert [form.weights for form in forms.of({"fold/a": "on", "prune/x": 8})] == [8 * 25]
    assert [form.weights for form in forms.of({"prune/x": 8})] == [8 * 9, 8 * 9]


def test_a_folded_pair_is_one_layer_with_a_merged_kernel(space: SearchSpace) -> None:
    (merged,) = LayerForms(space).of({"fold/a": "on", "prune/a": 8})
    # 3 + (3 - 1) = 5: 4 * 8 * 25 weights at 64 positions; the inner width is gone.
    assert (merged.layer, merged.kind, merged.weights, merged.macs) == ("a", "merged", 800, 800 * 64)
    assert (merged.parts[0].kernel_size, merged.out_channels, merged.activations) == ((5, 5), 8, 8 * 64)


def test_a_factorised_layer_is_its_factors(space: SearchSpace) -> None:
    form = LayerForms(space).form("b", {"rank/b": "tucker:16x8", "bits/b": 8})
    assert form is not None
    # C r1 + r1 r2 k² + r2 N = 32 * 16 + 16 * 8 * 9 + 8 * 8
    assert (form.kind, form.weights, form.macs) == ("tucker", 1728, 1728 * 64)
    shapes = [(part.name, part.kernel_size, part.inner, part.outer, part.bits) for part in form.parts]
    assert shapes == [("b.0", (1, 1), 32, 16, 8), ("b.1", (3, 3), 16, 8, 8), ("b.2", (1, 1), 8, 8, 8)]


def test_factors_before_the_stride_run_at_more_positions() -> None:
    layer = Layer("a", "conv", 16, 16, (3, 3), (2, 2), 1, 16)
    forms = LayerForms(SearchSpace((), (), {"a": LayerWidths(layer)}))
    (form,) = forms.of({"rank/a": "spatial:8"})
    # The first factor has the stride in height only: twice the positions.
    facts = [(part.kernel_size, part.stride, part.n_positions) for part in form.parts]
    assert facts == [((3, 1), (2, 1), 32), ((1, 3), (1, 2), 16)]


def test_the_bytes_of_a_layer(space: SearchSpace) -> None:
    def weight_bytes(choices: Mapping[str, Choice]) -> list[float]:
        return [form.weight_bytes for form in LayerForms(space).of(choices)]

    # Per weight 4 bytes in fp32 and 1 in int8; per output channel 4 for the bias, and in int8 4 for each of two scales
    # and 5 for their zero points.
    assert weight_bytes({}) == [4 * A_WEIGHTS + 4 * 32, 4 * B_WEIGHTS + 4 * 8]
    assert weight_bytes({"bits/a": 8}) == [A_WEIGHTS + 17 * 32, 4 * B_WEIGHTS + 4 * 8]


def test_a_linear_layer_whose_zeros_are_skipped_is_of_its_density() -> None:
    linear = Layer("a", "linear", 1024, 1024, (), (), 1, 1)
    twice = dataclasses.replace(linear, name="b", n_calls=2)
    space = SearchSpace((), (), {"a": LayerWidths(linear), "b": LayerWidths(twice)}, sparse_density=0.2)

    def densities(choices: Mapping[str, Choice], of: SearchSpace = space) -> list[float]:
        return [part.density for form in LayerForms(of).of(choices) for part in form.parts]

    assert densities({"sparsity/a": 90, "sparsity/b": 90}) == [pytest.approx(0.1), 1.0]
    assert densities({"sparsity/a": 70}) == densities({"sparsity/a": 90, "bits/a": "bf16"}) == [1.0, 1.0]
    assert densities({"sparsity/a": 90}, dataclasses.replace(space, sparse_density=0.0)) == [1.0, 1.0]
    # Of the factors 1024 -> 256 -> 1024 each has 2^18 weights, of 1024 -> 128 -> 1024 half of that: too few.
    assert densities({"sparsity/a": 80, "rank/a": "svd:256"}) == [pytest.approx(0.2), pytest.approx(0.2), 1.0]
    assert densities({"sparsity/a": 80, "rank/a": "svd:128"}) == [1.0, 1.0, 1.0]
    # A weight and its column for one of ten, where 1024 rows begin, and 1024 biases.
    (form, _) = LayerForms(space).of({"sparsity/a": 90})
    assert form.weight_bytes == pytest.approx(8 * 1024 * 1024 / 10 + 4 * 1025 + 4 * 1024)


def neighbours(forms: LayerForms, layer: str, choices: Mapping[str, Choice]) -> tuple[Form | None, Form | None]:
    """A layer and the one that follows it."""
    found = forms.of(choices)
    names = [form.layer for form in found]
    following = found[names.index(layer) + 1 :] if layer in names else []
    return forms.form(layer, choices), next(iter(following), None)


def test_a_site_changes_only_the_layers_under_it(space: SearchSpace) -> None:
    forms = LayerForms(space)
    assert forms.layers_under(space.site("prune/a")) == ("a", "b")  # b reads what a gives
    assert forms.layers_under(space.site("bits/a")) == ("a",)
    assert forms.layers_under(space.site("bits/b")) == ("a", "b")  # what stands between a and b may convert
    for site in space.sites:
        for start in ({}, {"fold/a": "on"}, {"prune/a": 16, "bits/b": 8}):
            for choice in site.choices:
                for layer in set(space.widths) - set(forms.layers_under(site)):
                    assert forms.form(layer, {**start, site.name: choice}) == forms.form(layer, start)


def test_a_site_changes_the_precision_after_only_the_layers_under_it(inverted: SearchSpace) -> None:
    bits = tuple(Site(f"bits/{layer}", (layer,), (32, 8)) for layer in inverted.widths)
    space = SearchSpace((*inverted.sites, *bits), (), inverted.widths)
    forms = LayerForms(space)
    starts: list[dict[str, Choice]] = [
        {},
        {"fold/b": "on", "bits/d": 8},
        {"fold/a": "on", "fold/c": "on", "bits/c": 8},
        {"fold/a": "on:2", "fold/b": "on", "bits/b": 8},
    ]
    for site in space.sites:
        for start in starts:
            for choice in site.choices:
                changed = {**start, site.name: choice}
                for layer in set("abcd") - set(forms.layers_under(site)):
                    before, after = neighbours(forms, layer, start), neighbours(forms, layer, changed)
                    assert before[0] == after[0]
                    assert (before[1] and before[1].bits) == (after[1] and after[1].bits)
    assert forms.layers_under(inverted.site("prune/c")) == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("operator", "parts"),
    [
        # Name, kernel, stride, groups, positions, input and output channels; 16 output positions, 64 before the stride.
        ("pointwise", [("a", (1, 1), (2, 2), 1, 16, 24, 17)]),
        ("separable", [("a.0", (3, 3), (2, 2), 24, 16, 24, 24), ("a.1", (1, 1), (1, 1), 1, 16, 24, 17)]),
        (
            "fire:8",
            [
                ("a.0", (1, 1), (1, 1), 1, 64, 24, 8),
                ("a.1", (1, 1), (2, 2), 1, 16, 8, 9),
                ("a.2", (3, 3), (2, 2), 1, 16, 8, 8),
            ],
        ),
    ],
)
def test_another_operator_is_its_layers(operator: str, parts: list[tuple[object, ...]]) -> None:
    layer = Layer("a", "conv", 24, 17, (3, 3), (2, 2), 1, 16)
    # Beside an operator a rank has no effect, whatever a proposer says on its way.
    (form,) = LayerForms(SearchSpace((), (), {"a": LayerWidths(layer)})).of(
        {"operator/a": operator, "rank/a": "spatial:8"}
    )
    found = [
        (part.name, part.kernel_size, part.stride, part.groups, part.n_positions, part.inner, part.outer)
        for part in form.parts
    ]
    assert found == parts
    assert (form.out_channels, form.activations) == (17, 17 * 16)
