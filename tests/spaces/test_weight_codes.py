import pytest
import torch

from parefront.hardware_profiles.errors import SpaceError
from parefront.spaces import Configuration, QuantizedWeight
from parefront.spaces.weight_codes import CODES, code_weight, coded_of, layer_bits, parse_code, stored_bits


def test_a_choice_says_kind_and_bits() -> None:
    assert parse_code("clusters:5") == ("clusters", 5)
    assert parse_code("uniform:2") == ("uniform", 2)
    assert stored_bits("full") == 32
    with pytest.raises(
        SpaceError, match=r"must be one of full, clusters:6.*circulant:N, got 'uniform:7': choose one of these"
    ):
        parse_code("uniform:7")


def test_choices_go_from_many_bits_to_few() -> None:
    bits = [stored_bits(code) for code in CODES]
    assert bits == sorted(bits, reverse=True)


def test_clusters_of_a_weight_with_few_values_are_these() -> None:
    weight = torch.tensor([[0.5, -1.0, 0.0], [0.5, 2.0, -1.0]])
    coded = code_weight(weight, "clusters:2")
    assert torch.equal(coded.decode(), weight)
    assert len(coded.codebook) == 4


def test_one_bit_is_the_sign_times_the_mean_magnitude() -> None:
    coded = code_weight(torch.tensor([[1.0, -3.0], [0.5, 0.5]]), "uniform:1")
    assert coded.decode().tolist() == [[2.0, -2.0], [0.5, 0.5]]
    assert coded.codebook.tolist() == [-1.0, 1.0]


def test_levels_keep_zeros_and_a_scale_per_channel() -> None:
    # Multiples of a seventh of the largest, so that nothing is lost.
    weight = torch.tensor([[0.0, 0.25, -1.5, 1.75], [0.0, 8.0, -48.0, 56.0]])
    coded = code_weight(weight, "uniform:4")
    assert torch.equal(coded.decode(), weight)
    assert coded.scale is not None
    assert coded.scale.tolist() == [0.25, 8.0]


def test_a_quantised_weight_has_its_levels_as_codebook() -> None:
    quantized = QuantizedWeight(torch.tensor([[-2, 1], [0, -1]], dtype=torch.int8), torch.tensor([0.5, -2.0]), 2)
    coded = coded_of(quantized)
    assert coded.codebook.tolist() == [-2.0, -1.0, 0.0, 1.0]
    assert torch.equal(coded.decode(), quantized.decode())


def test_layers_are_found_by_the_kind_of_their_code() -> None:
    configuration = Configuration.of({"code/a": "clusters:4", "code/b": "uniform:2", "bits/c": 8})
    assert layer_bits(configuration, "clusters") == {"a": 4}
    assert layer_bits(configuration, "uniform") == {"b": 2}


def test_ties_hold_a_number_per_group_of_weights() -> None:
    assert parse_code("flips:4") == ("flips", 4)
    assert (stored_bits("flips:4"), stored_bits("circulant:16")) == (8.0, 2.0)
    coded = code_weight(torch.tensor([[1.0, 2.0], [2.0, 1.0]]), "circulant:2")
    assert torch.allclose(coded.decode(), torch.tensor([[1.0, 2.0], [2.0, 1.0]]), atol=1e-5)
