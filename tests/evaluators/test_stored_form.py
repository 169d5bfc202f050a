import pytest

from parefront.evaluators.stored_form import AS_EXECUTED, StoredForm, stored_form


def test_a_layer_without_choices_is_stored_as_it_is_executed() -> None:
    assert stored_form("a", {"code/b": "clusters:4", "sparsity/a": 0}) is AS_EXECUTED
    assert AS_EXECUTED.bits_per_weight(32) == 32
    assert AS_EXECUTED.bits_per_weight("bf16") == 16
    assert AS_EXECUTED.bits_per_weight(8) < 8  # an entropy code takes less


def test_choices_are_found_by_the_layer() -> None:
    assert stored_form("a", {"code/a": "uniform:2", "sparsity/a": 70}) == StoredForm("uniform:2", 70)


def test_zeros_cost_their_positions() -> None:
    # Half of the weights at 32 bits, and one bit each to say which.
    assert StoredForm(sparsity=50).bits_per_weight(32) == pytest.approx(17.0)


def test_a_bit_is_the_least() -> None:
    assert StoredForm("uniform:1").bits_per_weight(8) == 1.0
    assert StoredForm("clusters:4").bits_per_weight(8) == pytest.approx(3.8)
