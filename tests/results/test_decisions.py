import pytest

from parefront.results.decisions import describe, strength, word_choice
from parefront.spaces.configuration import Configuration
from parefront.spaces.site import Choice, Site

PRUNE = Site("prune/a", ("a", "b"), (64, 48, 32, 16, 8))
BITS = Site("bits/a", ("a",), (32, 8))
FOLD = Site("fold/a", ("a", "b"), ("off", "on"))


@pytest.mark.parametrize(
    ("site", "choice", "word"),
    [
        (PRUNE, 48, "64→48"),
        (BITS, 8, "int8"),
        (FOLD, "on", "folded"),
        (Site("fold/a", ("a", "b", "c"), ("off", "on:2")), "on:2", "folded"),
        (Site("rank/a", ("a",), ("full", "spatial:24")), "spatial:24", "spatial:24"),
        (Site("operator/a", ("a",), ("full", "separable")), "separable", "separable"),
        (Site("skip/a", ("a",), ("off", "on")), "on", "skip on"),
    ],
)
def test_a_decision_in_a_word(site: Site, choice: Choice, word: str) -> None:
    assert word_choice(site, choice) == word


def test_a_configuration_in_lines() -> None:
    choices: dict[str, Choice] = {f"prune/layer{i}": 8 for i in range(6)}
    choices |= {"bits/a": 8, "bits/b": 8, "fold/a": "on", "rank/c": "spatial:24"}
    choices |= {"operator/d": "fire:8", "skip/a": "on"}
    assert describe(Configuration.of(choices)) == [
        "int8 in 2 layers",
        "folded: a",
        "other operators: d fire:8",
        "pruned: layer0 to 8, layer1 to 8, layer2 to 8, layer3 to 8, 2 more",
        "low rank: c spatial:24",
        "skip: a on",
    ]
    assert describe(Configuration.of({"fold/a": "on:2", "fold/b": "on"})) == ["folded: a (2 activations), b"]
    assert describe(Configuration()) == ["unchanged"]


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({}, 0.0),
        ({"prune/a": 32}, (2 / 4) / 3),
        ({"prune/a": 32, "bits/a": 8}, (2 / 4 + 1) / 3),
        ({"fold/a": "on"}, 1.0),
        ({"bits/elsewhere": 8}, 0.0),
    ],
)
def test_the_strength_is_the_mean_position_over_techniques(choices: dict[str, Choice], expected: float) -> None:
    assert strength([PRUNE, BITS, FOLD], choices, n_techniques=3) == pytest.approx(expected)
