import numpy as np
import pytest
import torch

from parefront.hardware_profiles.errors import PackingError
from parefront.packing import assign, cluster
from parefront.packing.kmeans import clusters_at, lloyd
from parefront.packing.sorted_values import SortedValues

from .test_optimal_intervals import least_errors


def normal(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed))


def test_clusters_worked_by_hand() -> None:
    found = cluster(torch.tensor([[9.0, 1.0], [2.0, 11.0]]), 2)
    assert found.centroids.tolist() == [1.5, 10.0]
    assert found.edges.tolist() == [5.75]
    assert found.mse == (0.25 + 0.25 + 1 + 1) / 4


def test_a_weight_counts_like_as_many_values() -> None:
    found = cluster(np.array([0.0, 1.0, 4.0, 7.0]), 2, weights=np.array([3, 1, 0, 2]))
    assert found.centroids.tolist() == [0.25, 7.0]
    assert found.mse == pytest.approx((3 * 0.25**2 + 0.75**2) / 6)


@pytest.mark.parametrize("k", [2, 5, 9])
def test_few_values_are_clustered_exactly(k: int) -> None:
    values = normal(90)
    row = np.sort(values.double().numpy())
    assert cluster(values, k).mse == pytest.approx(least_errors(row, np.ones(90), k)[-1] / 90, rel=1e-5)


def test_many_values_in_bins_are_clustered_nearly_exactly() -> None:
    for values in (normal(6_000), torch.cat([normal(6_000) ** 3, torch.tensor([-1e4])])):
        assert cluster(values, 12, n_bins=512).mse <= 1.001 * cluster(values, 12).mse


def test_a_gaussian_has_the_published_error() -> None:
    values = normal(400_000)
    assert cluster(values, 16).mse == pytest.approx(0.009501 * values.var().item(), rel=0.005)


@pytest.mark.parametrize("k", [3, 4])
def test_few_distinct_values_come_back_to_the_last_bit(k: int) -> None:
    just_above = float(np.nextafter(np.float32(0.1), np.float32(1)))
    values = torch.tensor([0.1, just_above, -3.3, 0.1, just_above])
    found = cluster(values, k)
    assert found.mse == 0
    assert torch.equal(found.centroids[assign(values, found).long()], values)
    assert len(found.centroids) == 3


def test_lloyd_moves_to_the_means_until_nothing_changes() -> None:
    line = SortedValues.of(np.array([0.0, 1.0, 2.0, 10.0]))
    # 0 | 1 2 10 → means 0 and 13/3, edge 13/6: 0 1 2 | 10 → means 1 and 10, edge 5.5: the same.
    assert lloyd(line, np.array([0.0, 1.0], np.float32), 99).centroids.tolist() == [1.0, 10.0]
    assert lloyd(line, np.array([0.0, 1.0], np.float32), 1).centroids.tolist() == [0.0, np.float32(13 / 3)]


def test_a_centroid_that_nothing_is_near_to_is_left_out() -> None:
    found = clusters_at(SortedValues.of(np.array([0.0, 10.0])), np.array([1.0, 5.0, 8.0], np.float32))
    assert found.centroids.tolist() == [1.0, 8.0]
    assert found.edges.tolist() == [4.5]
    assert found.mse == (1 + 4) / 2


@pytest.mark.parametrize(("k", "n_bins"), [(0, 64), (17, 64)])
def test_refuses_numbers_of_clusters_and_bins(k: int, n_bins: int) -> None:
    with pytest.raises(PackingError, match="bins at least 4 for each"):
        cluster(normal(9), k, n_bins=n_bins)
