from parefront.spaces import Site


def test_a_site_says_its_technique_its_layer_and_its_neutral_choice() -> None:
    site = Site("prune/layer1.0.conv1", ("layer1.0.conv1",), (64, 56, 48))
    assert (site.technique, site.layer, site.neutral) == ("prune", "layer1.0.conv1", 64)


def test_a_choice_may_be_marked() -> None:
    site = Site("rank/a", ("a",), ("full", "tucker:16x24", "tucker:8x8"), notes=("", "ranks by VBMF", ""))
    assert [site.note(choice) for choice in site.choices] == ["", "ranks by VBMF", ""]
    assert Site("rank/a", ("a",), ("full", "svd:8")).note("svd:8") == ""


def test_each_choice_may_touch_layers_of_its_own() -> None:
    site = Site("fold/a", ("a", "b", "c"), ("off", "on", "on:2"), ((), ("a", "b"), ("a", "b", "c")))
    assert [site.touched(choice) for choice in site.choices] == [(), ("a", "b"), ("a", "b", "c")]


def test_without_spans_all_but_the_neutral_choice_touch_all_layers() -> None:
    site = Site("prune/a", ("a", "b"), (64, 48, 32))
    assert [site.touched(choice) for choice in site.choices] == [(), ("a", "b"), ("a", "b")]
