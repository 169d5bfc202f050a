import pytest

from parefront.hardware_profiles.errors import TrainingError
from parefront.training.layer_patterns import rates_by_layer

LAYERS = ("conv1", "conv2.0", "conv2.1", "fc")


def test_the_last_pattern_wins_and_a_name_wins_over_all() -> None:
    rates = {"fc": 6.0, "*": 4.0, "conv*": 5.0}
    assert rates_by_layer(rates, LAYERS) == {"conv1": 5.0, "conv2.0": 5.0, "conv2.1": 5.0, "fc": 6.0}


def test_the_name_of_a_factorised_layer_is_for_its_factors() -> None:
    assert rates_by_layer({"conv2": 3.0}, LAYERS) == {"conv2.0": 3.0, "conv2.1": 3.0}


def test_layers_may_be_left_alone() -> None:
    assert rates_by_layer({"*": 4.0, "fc": None, "conv2*": None}, LAYERS) == {"conv1": 4.0}


def test_a_pattern_in_vain_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"'dense\*' must match a layer, but matches none: layers are conv1, "):
        rates_by_layer({"dense*": 1.0}, LAYERS)
