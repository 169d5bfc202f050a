import pytest

from parefront.hardware_profiles import SearchError
from parefront.search.rungs import Rungs
from parefront.search.settings import SearchSettings


def test_settings_are_checked() -> None:
    SearchSettings(0, 0)
    with pytest.raises(SearchError, match="n_trials must be 0 or more, got -1"):
        SearchSettings(-1)
    with pytest.raises(SearchError, match="n_final must be 0 or more, got -2"):
        SearchSettings(1, -2)
    with pytest.raises(SearchError, match="unknown sampler 'table': known samplers are tables, "):
        SearchSettings(1, sampler="table")
    with pytest.raises(SearchError, match="n_short must be at most the 5 candidates, got 6"):
        SearchSettings(5, n_short=6)
    SearchSettings(1, sampler="tpe")


def test_the_rungs_follow_from_the_settings() -> None:
    settings = SearchSettings(20, 3, n_short=10, promotion="rank", n_repeats=4)
    assert settings.rungs == Rungs(20, 10, 3, "rank", 4)
