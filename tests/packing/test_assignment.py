import pytest
import torch
from torch import Tensor

from parefront.hardware_profiles.errors import PackingError
from parefront.packing import Clusters, assign


def clusters(*edges: float) -> Clusters:
    """With these edges; the centroids only count."""
    return Clusters(torch.arange(len(edges) + 1.0), torch.tensor(edges), 0.0)


def by_definition(values: Tensor, edges: Tensor) -> Tensor:
    return (values[..., None] > edges).sum(-1)


@pytest.mark.parametrize(
    "edges",
    [
        (),
        (0.5,),
        (-0.5, 0.5),
        (-1.0, -0.3, 0.0, 1e-4, 2e-4, 0.7),
        (0.0, 1e-6, 2e-6, 3e-6, 1e6),  # several in one cell
        (0.0, 1e-45, 3e-45),  # the scale overflows
        (-3e38, 0.0, 3e38),  # so does the width
    ],
)
def test_counts_the_edges_below(edges: tuple[float, ...]) -> None:
    values = torch.randn(70_000, generator=torch.Generator().manual_seed(0))
    ends = torch.tensor([*edges, -3.4e38, 3.4e38])
    near = torch.cat([ends, ends.nextafter(torch.tensor(9.0)), ends.nextafter(torch.tensor(-9.0))])
    values = torch.cat([values, near]).reshape(-1, 1)
    indices = assign(values, clusters(*edges))
    assert indices.dtype == torch.uint8
    assert torch.equal(indices.long(), by_definition(values, torch.tensor(edges)))


@pytest.mark.parametrize(("n_edges", "dtype"), [(255, torch.uint8), (256, torch.int64)])
def test_an_index_is_one_byte_for_up_to_256_clusters(n_edges: int, dtype: torch.dtype) -> None:
    edges = torch.linspace(-1, 1, n_edges)
    values = torch.linspace(-2, 2, 999)
    indices = assign(values, clusters(*edges.tolist()))
    assert indices.dtype == dtype
    assert torch.equal(indices.long(), by_definition(values, edges))


def test_refuses_what_is_near_to_nothing() -> None:
    with pytest.raises(PackingError, match="values must be finite"):
        assign(torch.tensor([1.0, float("nan")]), clusters(0.0, 1.0))
