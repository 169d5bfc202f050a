from collections.abc import Callable

import pytest

from parefront.results.layer_times import layer_times
from parefront.search.trial import Trial

MakeTrial = Callable[..., Trial]


def test_the_times_of_the_layers_add_up_to_the_latency(make_trial: MakeTrial) -> None:
    operators = [["conv1", "Conv", "fp32", 1200.0], ["conv1", "Relu", "", 300.0], [None, "Flatten", "", 500.0]]
    times = layer_times(make_trial(1, 0.0, latency_ms=2.0, details={"operators": operators}))
    assert times == pytest.approx({"conv1": 1500.0, None: 500.0})  # 2000 µs in all: nothing to correct


def test_without_a_profile_nothing_is_made_up(make_trial: MakeTrial) -> None:
    assert layer_times(make_trial(1, 0.0)) == {}
