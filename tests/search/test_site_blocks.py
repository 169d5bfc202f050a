import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from parefront.evaluators import CostTables
from parefront.search.costs import CostModel
from parefront.search.goals import DEFAULT_GOALS
from parefront.search.proposal import Proposal
from parefront.search.site_blocks import SiteBlocks
from parefront.search.trial import Trial
from parefront.spaces import Choice, Configuration, SearchSpace, Site

Evaluated = Callable[[SearchSpace, Proposal, int], Trial]


@pytest.fixture
def costs(small_space: SearchSpace) -> CostModel:
    """Before anything was measured."""
    return CostModel(small_space, CostTables(small_space), DEFAULT_GOALS)


def position(blocks: SiteBlocks, *names: str) -> int:
    """Of the block of those sites."""
    return next(i for i, block in enumerate(blocks.blocks) if set(block.options[0]) == set(names))


def test_bits_and_rank_of_one_layer_are_chosen_together(small_space: SearchSpace, costs: CostModel) -> None:
    blocks = SiteBlocks(small_space, costs)
    assert sorted(sorted(block.options[0]) for block in blocks.blocks) == [
        ["bits/a"],
        ["bits/b", "rank/b"],
        ["fold/a"],
        ["prune/a"],
    ]
    together = blocks.blocks[position(blocks, "bits/b", "rank/b")]
    assert len(together.options) == 2 * 3
    assert together.best(np.array([3.0, 2.0, 1.0, 0.5, 4.0, 5.0])) == together.options[3]


def test_of_techniques_that_replace_a_layer_one_is_taken(small_space: SearchSpace) -> None:
    sites = (Site("operator/b", ("b",), ("full", "pointwise")), small_space.site("rank/b"))
    space = SearchSpace(sites, (), small_space.widths)
    (block,) = SiteBlocks(space, CostModel(space, CostTables(space), DEFAULT_GOALS)).blocks
    assert len(block.options) == 1 + 1 + 2  # neither, the operator, or one of two ranks


def test_an_option_costs_what_its_layers_do(small_space: SearchSpace, costs: CostModel) -> None:
    blocks = SiteBlocks(small_space, costs)
    around: dict[str, Choice] = {"bits/a": 8, "rank/b": "spatial:8"}
    of_widths = blocks.costs(position(blocks, "prune/a"), around)
    for width, found in zip((32, 24, 16, 8), of_widths, strict=True):
        shares = [costs.shares(layer, {**around, "prune/a": width}) for layer in ("a", "b")]
        assert found == pytest.approx([sum(each) for each in zip(*shares, strict=True)])


def test_folds_that_overlap_are_scheduled(small_space: SearchSpace, costs: CostModel) -> None:
    names = ("a", "b")
    spans = ((), names)
    sites = tuple(Site(f"fold/{name}", names, ("off", "on"), spans) for name in names)
    space = SearchSpace(sites, (), small_space.widths)
    (block,) = SiteBlocks(space, CostModel(space, CostTables(space), DEFAULT_GOALS)).blocks
    assert block.best(np.array([-1.0, -2.0])) == {"fold/a": "off", "fold/b": "on"}
    assert block.best(np.array([-3.0, -2.0])) == {"fold/a": "on", "fold/b": "off"}
    assert block.best(np.array([1.0, 2.0])) == {"fold/a": "off", "fold/b": "off"}


def test_what_was_worked_out_is_remembered_until_more_is_known(
    small_space: SearchSpace, costs: CostModel, evaluated: Evaluated
) -> None:
    blocks = SiteBlocks(small_space, costs)
    widths = position(blocks, "prune/a")
    before = blocks.costs(widths, {})
    assert blocks.costs(widths, {}) is before
    assert blocks.costs(widths, {"bits/a": 8}) is not before
    for number, bits in enumerate((32, 8)):
        configuration = Configuration.of({"bits/a": bits} if bits == 8 else {})
        costs.observe(dataclasses.replace(evaluated(small_space, Proposal(configuration, ""), number)))
    assert (blocks.costs(widths, {}) != before).any()
