"""Assignments on a space whose sites and rules are plain to see."""

import pytest

from parefront.cli.assignments import Assigned, Skipped, assign
from parefront.hardware_profiles.errors import SpaceError
from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import Network, SearchSpace, find_space

# The tiny task's network: stem 16, block.conv1 16 (with stem and block.conv2 coupled), hidden 32, classifier.


def choices(space: SearchSpace, *texts: str) -> dict[str, int | str]:
    return dict(assign(space, texts).configuration)


def test_a_choice_has_the_type_of_its_site(tiny_space: SearchSpace) -> None:
    rank = tiny_space.site("rank/hidden").choices[-1]
    found = choices(tiny_space, "prune/stem=8", "fold/block.conv1=on", f"rank/hidden={rank}", "bits/stem=8")
    assert found == {"prune/stem": 8, "fold/block.conv1": "on", "rank/hidden": rank, "bits/stem": 8}


def test_a_pattern_sets_every_site_that_it_matches(tiny_space: SearchSpace) -> None:
    bits = {site.name for site in tiny_space.sites if site.technique == "bits"}
    assert choices(tiny_space, "bits/*=8") == dict.fromkeys(bits, 8)


def test_halves_are_set_by_name(tiny_network: Network) -> None:
    space = find_space(tiny_network, Capabilities(weight_bits=(32, "bf16", "fp16", 8)))
    bits = [site.name for site in space.sites if site.technique == "bits"]
    assert choices(space, "bits/*=bf16", "bits/stem=fp16") == dict.fromkeys(bits, "bf16") | {"bits/stem": "fp16"}
    with pytest.raises(SpaceError, match=r"bits/stem must be one of .*bf16.*, got 16: choose one of these"):
        choices(space, "bits/stem=16")


def test_a_share_is_the_nearest_offered_width(tiny_space: SearchSpace) -> None:
    assert tiny_space.site("prune/hidden").choices == (32, 24, 16, 8)
    assert choices(tiny_space, "prune/hidden=50%") == {"prune/hidden": 16}
    assert choices(tiny_space, "prune/hidden=30%") == {"prune/hidden": 8}  # 9.6
    assert choices(tiny_space, "prune/hidden=62.5%") == {"prune/hidden": 24}  # 20: the wider of two
    assert choices(tiny_space, "prune/hidden=100%") == {}


def test_a_site_named_by_itself_wins_over_patterns(tiny_space: SearchSpace) -> None:
    for texts in (("bits/stem=32", "bits/*=8"), ("bits/*=8", "bits/stem=32")):
        assert "bits/stem" not in choices(tiny_space, *texts)
    assert choices(tiny_space, "prune/*=50%", "prune/hidden=75%")["prune/hidden"] == 24


def test_of_two_patterns_the_last_one_wins(tiny_space: SearchSpace) -> None:
    assert choices(tiny_space, "prune/h*=50%", "prune/*=75%")["prune/hidden"] == 24


def test_sites_that_do_not_offer_the_choice_are_skipped_and_listed(tiny_space: SearchSpace) -> None:
    found = assign(tiny_space, ["*/hidden=8"])
    assert dict(found.configuration) == {"bits/hidden": 8, "prune/hidden": 8}
    offered = ", ".join(map(str, tiny_space.site("rank/hidden").choices))
    assert Skipped("rank/hidden", f"offers {offered}, not 8") in found.skipped


def test_what_a_fold_makes_moot_is_skipped_where_a_pattern_set_it(tiny_space: SearchSpace) -> None:
    found = assign(tiny_space, ["bits/*=8", "fold/block.conv1=on"])
    assert "bits/block.conv2" not in found.configuration
    (skipped,) = (each for each in found.skipped if each.site == "bits/block.conv2")
    assert "merges block.conv1 and block.conv2 into one layer" in skipped.reason


def test_assignments_change_the_start(tiny_space: SearchSpace) -> None:
    start = {"bits/stem": 8, "prune/hidden": 16}
    assert assign(tiny_space, [], start) == Assigned(tiny_space.canonical(start))
    assert dict(assign(tiny_space, ["prune/hidden=24"], start).configuration) == {"bits/stem": 8, "prune/hidden": 24}
    assert dict(assign(tiny_space, ["prune/*=75%"], start).configuration)["prune/hidden"] == 24


def test_ignored_techniques_are_not_looked_at(tiny_space: SearchSpace) -> None:
    found = assign(
        tiny_space, ["rank/hidden=svd:9999", "bits/stem=8"], {"rank/stem": "x:1"}, ignored=frozenset({"rank"})
    )
    assert dict(found.configuration) == {"bits/stem": 8}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["bits/stem"], "--set must be SITE=CHOICE, got 'bits/stem'"),
        (["bits/stem="], "--set must be SITE=CHOICE"),
        (["bits/stems=8"], r"unknown site 'bits/stems': the closest of \d+ are bits/stem, "),
        (["bits/stem=5"], "bits/stem must be one of 8, 32, got 5"),
        (["bits/stem=50%"], "bits/stem must be one of .*, got '50%'"),
        (["fold/block.conv1=maybe"], "fold/block.conv1 must be one of .*, got 'maybe'"),
        (["bit/*=8"], r"the pattern 'bit/\*' must match a site, but matches none: there are .*bits/\*"),
        (["bits/*=5"], r"no site that matches 'bits/\*' offers 5: choose among 32, 8"),
        (["bits/stem=8", "bits/stem=32"], "bits/stem must be set once, got 8 and 32"),
        (["fold/block.conv1=on", "bits/block.conv2=8"], "bits/block.conv2=8 has no effect: fold/block.conv1=on merges"),
        (["fold/*=on", "bits/block.conv2=8"], "bits/block.conv2=8 has no effect: fold/block.conv1=on merges"),
    ],
)
def test_a_mistake_is_one_line(tiny_space: SearchSpace, texts: list[str], message: str) -> None:
    with pytest.raises(SpaceError, match=message) as caught:
        assign(tiny_space, texts)
    assert len(str(caught.value).splitlines()) == 1
