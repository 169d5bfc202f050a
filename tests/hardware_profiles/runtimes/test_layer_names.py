import pytest

from parefront.hardware_profiles.runtimes.layer_names import layer_of


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("conv1", "conv1"),
        ("conv1_token_4", "conv1"),
        ("conv1/activation_nchwc", "conv1"),
        ("conv1/WithoutBiases", "conv1"),
        ("conv1_2/output_nchwc", "conv1_2"),
        ("conv10", None),
        ("conv1.0", None),
        ("ReorderOutput_token_1", None),
        ("", None),
    ],
)
def test_optimised_nodes_are_found_by_the_longest_layer_name(name: str, layer: str | None) -> None:
    assert layer_of(name, ["conv1", "conv1_2", "fc"]) == layer
