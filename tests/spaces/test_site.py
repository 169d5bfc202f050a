from parefront.spaces import Site


def test_a_site_says_its_technique_its_layer_and_its_neutral_choice() -> None:
    site = Site("prune/layer1.0.conv1", ("layer1.0.conv1",), (64, 56, 48))
    assert (site.technique, site.layer, site.neutral) == ("prune", "layer1.0.conv1", 64)
