import json
from typing import Any

import pytest

from parefront.evaluators.observation import Observation
from parefront.hardware_profiles import OperatorTime
from parefront.spaces import Configuration, SearchSpace, Site

OBSERVATION = Observation(
    Configuration.of({"prune/a": 16, "rank/b": "svd:8"}),
    (OperatorTime("a", "Conv", "fp32", 12.25), OperatorTime(None, "Pool", "", 1.5)),
    0.25,
    1234.0,
)


def test_it_comes_back_from_json() -> None:
    assert Observation.from_entry(json.loads(json.dumps(OBSERVATION.to_entry()))) == OBSERVATION


@pytest.mark.parametrize(
    ("field", "value"),
    [("latency_ms", 0.0), ("latency_ms", float("nan")), ("latency_ms", "much"), ("size_bytes", -1), ("operators", [])],
)
def test_what_was_not_measured_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"must have a time|could not convert"):
        Observation.from_entry({**OBSERVATION.to_entry(), field: value})


def test_an_entry_of_something_else_is_refused() -> None:
    with pytest.raises(KeyError):
        Observation.from_entry({"of": "prune/a=16", "divergence": 0.1})


@pytest.mark.parametrize(("choices", "is_in"), [((32, 16), True), ((32, 24), False)])
def test_it_fits_a_space_that_offers_its_choices(choices: tuple[int, ...], is_in: bool) -> None:
    sites = (Site("prune/a", ("a",), choices), Site("rank/b", ("b",), ("full", "svd:8")))
    assert OBSERVATION.is_in(SearchSpace(sites, (), {})) == is_in


def test_it_does_not_fit_a_space_without_its_site() -> None:
    assert not OBSERVATION.is_in(SearchSpace((Site("prune/a", ("a",), (32, 16)),), (), {}))
