from typing import Any

from parefront.results import Run
from parefront.results.layer_decisions import count_techniques, decide_layer, sites_by_layer, word_layer


def test_what_is_done_to_a_layer_is_said_site_by_site(run: Run) -> None:
    sites = sites_by_layer(("conv1", "fc"), run.sites)
    folded = run.trials[7].configuration  # prune to the last of four widths, int8, folded into its neighbour
    cell = decide_layer("conv1", sites["conv1"], folded)
    assert cell.words == ("64→16", "int8", "folded")
    assert cell.strength == 1.0
    assert decide_layer("fc", sites["fc"], folded).words == ("folded",)
    assert decide_layer("fc", sites["fc"], run.trials[6].configuration).words == ()


def test_the_strength_is_shared_among_the_techniques(run: Run) -> None:
    sites = sites_by_layer(("conv1",), run.sites)["conv1"]
    assert count_techniques(run.sites) == 3
    assert decide_layer("conv1", sites, run.trials[5].configuration, 3).strength == 1 / 3  # int8 alone
    assert count_techniques(()) == 1


def test_a_layer_is_worded_with_its_channels(manifest: dict[str, Any]) -> None:
    assert word_layer(manifest["layers"][0]) == "conv, 3→64 channels, 1,000,000 MACs"
