import math
import random

import pytest

from parefront.search.level_fit import LevelFit
from parefront.search.moves import random_configuration
from parefront.spaces import Configuration, SearchSpace

EFFECTS = {"fold/a": -0.4, "rank/b": -0.6, "prune/a": -1.2, "bits/a": -0.3, "bits/b": -0.2}


def truth(space: SearchSpace, configuration: Configuration) -> float:
    """Logarithm of a ratio: each site's effect by how far it is from neutral."""
    sites = {site.name: site for site in space.sites}
    return sum(
        EFFECTS[name] * sites[name].choices.index(choice) / (len(sites[name].choices) - 1)
        for name, choice in configuration.items()
    )


def draw(space: SearchSpace, n: int, seed: int) -> list[Configuration]:
    rng = random.Random(seed)
    return [random_configuration(space, rng) for _ in range(n)]


def test_before_anything_is_known_nothing_changes_anything(small_space: SearchSpace) -> None:
    fit = LevelFit(small_space)
    assert [fit.log_ratio(each) for each in draw(small_space, 5, 0)] == [0.0] * 5
    assert not fit.is_believed


def test_what_each_site_does_is_learnt(small_space: SearchSpace) -> None:
    fit = LevelFit(small_space)
    for each in draw(small_space, 40, 0):
        fit.add(each, truth(small_space, each), None)
    others = draw(small_space, 20, 1)
    assert [fit.log_ratio(each) for each in others] == pytest.approx([truth(small_space, o) for o in others], abs=0.08)


@pytest.mark.parametrize(("error", "is_believed"), [(0.0, False), (0.7, True)])
def test_it_is_believed_only_where_the_tables_were_clearly_worse(
    small_space: SearchSpace, error: float, is_believed: bool
) -> None:
    rng, fit = random.Random(0), LevelFit(small_space)
    for each in draw(small_space, 40, 0):
        measured = truth(small_space, each) + rng.gauss(0, 0.01)
        fit.add(each, measured, truth(small_space, each) + rng.choice((-error, error)))
    assert fit.is_believed == is_believed


def test_tables_that_have_become_right_are_believed_again(small_space: SearchSpace) -> None:
    fit = LevelFit(small_space)
    for position, each in enumerate(draw(small_space, 80, 0)):
        # As where a kind of operator takes long that the tables have not met.
        measured = truth(small_space, each) + 0.3 * math.sin(position)
        fit.add(each, measured, measured + (1.0 if position < 40 else 0.0))
        if position == 39:
            assert fit.is_believed
    assert not fit.is_believed
