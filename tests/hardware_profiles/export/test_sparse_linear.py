import pytest
import torch
from torch import nn

from parefront.hardware_profiles.export.sparse_linear import (
    SparseLinear,
    csr_matrix,
    sparse_product,
    with_sparse_layers,
)

WEIGHT = torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, -3.0]])
BIAS = torch.tensor([10.0, 20.0, 30.0])


def layer(bias: bool = True) -> nn.Linear:
    made = nn.Linear(3, 3, bias=bias)
    made.weight = nn.Parameter(WEIGHT.clone())
    if bias:
        made.bias = nn.Parameter(BIAS.clone())
    return made


def test_the_weights_that_are_not_zero_are_held_with_their_places() -> None:
    sparse = SparseLinear(layer())
    # The second output has none: it begins where the third does.
    assert sparse.rows.tolist() == [0, 1, 1, 3]
    assert sparse.columns.tolist() == [1, 0, 2]
    assert sparse.values.tolist() == [2.0, 1.0, -3.0]
    assert sparse.rows.dtype == sparse.columns.dtype == torch.int32


@pytest.mark.parametrize("shape", [(1, 3), (2, 3), (3,), (2, 1, 3), (0, 3)])
def test_it_computes_what_the_layer_does_for_any_number_of_vectors(shape: tuple[int, ...]) -> None:
    n = torch.Size(shape).numel() // 3
    x = torch.tensor([1.0, 2.0, 3.0]).repeat(n, 1).reshape(shape)
    for bias in (True, False):
        # 2 * 2, nothing, 1 - 3 * 3
        expected = torch.tensor([4.0, 0.0, -8.0]) + (BIAS if bias else 0.0)
        found = SparseLinear(layer(bias))(x)
        assert torch.equal(found, expected.repeat(n, 1).reshape(shape))
        assert found.is_contiguous()  # as the exporter was told


@pytest.mark.parametrize(
    ("rows", "columns"),
    [([0, 1, 1, 3], [1, 0, 3]), ([0, 1, 1, 3], [-1, 0, 2]), ([0, 1, 1, 9], [1, 0, 2]), ([0, 2, 1, 3], [1, 0, 2])],
)
def test_places_outside_the_weight_are_refused(rows: list[int], columns: list[int]) -> None:
    vectors = torch.tensor(rows).int(), torch.tensor(columns).int(), torch.ones(3)
    with pytest.raises(RuntimeError):
        csr_matrix(*vectors, 3)
    with pytest.raises(RuntimeError):
        torch.ops.parefront.csr_linear(torch.ones(1, 3), *vectors, None, 3)


def test_inputs_of_another_width_are_refused() -> None:
    sparse = SparseLinear(layer())
    weight = csr_matrix(sparse.rows, sparse.columns, sparse.values, 3)
    for n in (1, 2):
        with pytest.raises(RuntimeError):
            sparse_product(torch.ones(n, 4), weight, None)


def test_a_network_gets_sparse_layers_in_a_copy() -> None:
    network = nn.Sequential(layer(), nn.Sequential(layer(), layer()))
    changed = with_sparse_layers(network, ("0", "1.1"))
    kinds = [type(changed.get_submodule(name)) for name in ("0", "1.0", "1.1")]
    assert kinds == [SparseLinear, nn.Linear, SparseLinear]
    assert type(network[0]) is nn.Linear
    x = torch.tensor([[1.0, -2.0, 0.5]])
    assert torch.equal(changed(x), network(x))
