import pytest
from torch import nn

from parefront.hardware_profiles.errors import TrainingError
from parefront.training.decided_layers import check_decided, decided_layers


@pytest.fixture
def factorised() -> nn.Module:
    """A layer `0`, and `1` in two factors."""
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 4)), nn.ReLU())


def test_factors_have_the_decision_of_their_layer(factorised: nn.Module) -> None:
    assert decided_layers(factorised, {"1": 4, "0": 8}) == {"0": 8, "1.0": 4, "1.1": 4}
    assert decided_layers(factorised, {"1.1": 2}) == {"1.1": 2}


def test_a_decision_for_no_layer_is_refused_unless_a_fold_may_have_taken_it_away(factorised: nn.Module) -> None:
    check_decided(factorised, {"0": 1, "1": 1}, has_configuration=False)
    check_decided(factorised, {"2": 1}, has_configuration=True)
    with pytest.raises(TrainingError, match="unknown layer '2': known layers are"):
        check_decided(factorised, {"2": 1}, has_configuration=False)
