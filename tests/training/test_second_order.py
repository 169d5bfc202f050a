import itertools

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.errors import TrainingError
from parefront.training.second_order import (
    damped,
    inverse,
    layer_hessians,
    obd_saliency,
    obs_saliency,
    obs_update,
    output_error,
    prune_layers,
    prune_matrix,
    refit,
    removal_costs,
    sweep,
)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def rows() -> Tensor:
    """40 correlated inputs of size 6."""
    return draw(40, 6) @ draw(6, 6, seed=1)


def best_without(weight: Tensor, rows: Tensor, kept: list[int]) -> Tensor:
    """One row by plain least squares on the inputs that stay; the others zero."""
    found = torch.zeros_like(weight)
    found[kept] = torch.linalg.lstsq(rows[:, kept], rows @ weight).solution
    return found


def test_hessians_are_twice_the_gram_of_what_layers_are_fed() -> None:
    module = nn.Sequential(nn.Conv2d(1, 1, 2, bias=False), nn.Flatten(), nn.Linear(2, 1))
    with torch.no_grad():
        module[0].weight.fill_(1.0)
    # One image of 3 x 2 pixels: the windows are (1, 2, 3, 4) and (3, 4, 5, 6), the linear layer is fed (10, 18).
    image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]])
    windows = torch.tensor([[1.0, 2.0, 3.0, 4.0], [3.0, 4.0, 5.0, 6.0]], dtype=torch.float64)
    found = layer_hessians(module, image)
    assert found["0"].tolist() == [(2 * windows.T @ windows).tolist()]
    assert found["2"].tolist() == [[[200.0, 360.0], [360.0, 648.0]]]
    assert found["2"].dtype == torch.float64
    # Sums over samples, in whatever parts these pass.
    many = layer_hessians(module, image.expand(70, 1, 3, 2), ["2"])
    assert many["2"].tolist() == [[[70 * 200.0, 70 * 360.0], [70 * 360.0, 70 * 648.0]]]
    assert list(many) == ["2"]


def test_each_group_of_a_convolution_has_its_own() -> None:
    module = nn.Sequential(nn.Conv1d(2, 2, 1, groups=2))
    found = layer_hessians(module, torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    assert found["0"].tolist() == [[[2 * (1.0 + 4.0)]], [[2 * (9.0 + 16.0)]]]


def test_saliencies_by_hand() -> None:
    # H = [[2, 1], [1, 2]], H⁻¹ = [[2, -1], [-1, 2]] / 3. OBD: w² · 2 / 2. OBS: w² / (2 · 2 / 3).
    hessian = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
    weight = torch.tensor([[3.0, 1.0]])
    assert obd_saliency(weight, hessian).tolist() == [[9.0, 1.0]]
    assert obs_saliency(weight, inverse(hessian)).tolist() == [[pytest.approx(27 / 4), pytest.approx(3 / 4)]]


def test_obs_removes_a_weight_as_constrained_least_squares_does(rows: Tensor) -> None:
    weight, hessian = draw(6, seed=2), 2 * rows.T @ rows
    for removed in range(6):
        kept = [i for i in range(6) if i != removed]
        expected = best_without(weight, rows, kept)
        updated = obs_update(weight, inverse(hessian), removed)
        torch.testing.assert_close(updated, expected, rtol=1e-9, atol=1e-9)
        assert updated[removed] == 0.0
        # The saliency is what that costs: half of dᵀ H d, the squared error of the output.
        error = (rows @ (expected - weight)).square().sum()
        saliency = obs_saliency(weight[None], inverse(hessian))[0, removed]
        assert float(saliency) == pytest.approx(float(error))
        assert float(output_error((updated - weight)[None], hessian)) == pytest.approx(float(error))


def test_obd_is_the_error_where_nothing_else_moves(rows: Tensor) -> None:
    weight, hessian = draw(6, seed=2), 2 * rows.T @ rows
    without = weight.clone()
    without[4] = 0.0
    error = (rows @ (without - weight)).square().sum()
    assert float(obd_saliency(weight[None], hessian)[0, 4]) == pytest.approx(float(error))


def test_a_refit_is_least_squares_under_each_rows_mask(rows: Tensor) -> None:
    weight = draw(20, 6, seed=3)
    mask = draw(20, 6, seed=4) > 0
    mask[0] = False
    found = refit(weight, mask, 2 * rows.T @ rows)
    for row in range(20):
        kept = mask[row].nonzero()[:, 0].tolist()
        expected = best_without(weight[row], rows, kept) if kept else torch.zeros(6, dtype=torch.float64)
        torch.testing.assert_close(found[row], expected, rtol=1e-9, atol=1e-9)
    assert float(found[~mask].abs().sum()) == 0.0


def test_a_sweep_that_removes_one_column_is_one_obs_update(rows: Tensor) -> None:
    # Columns before the removed one have had their turn, so it is the first that makes the two the same.
    weight, hessian = draw(3, 6, seed=3), 2 * rows.T @ rows
    swept = sweep(weight, hessian, lambda column, current, _: current[:, column] * (column != 0))
    expected = torch.stack([obs_update(row, inverse(hessian), 0) for row in weight])
    torch.testing.assert_close(swept, expected, rtol=1e-9, atol=1e-9)


def test_a_sweep_that_removes_leading_columns_is_least_squares_on_the_rest(rows: Tensor) -> None:
    weight, hessian = draw(3, 6, seed=3), 2 * rows.T @ rows
    swept = sweep(weight, hessian, lambda column, current, _: current[:, column] * (column > 2))
    expected = torch.stack([best_without(row, rows, [3, 4, 5]) for row in weight])
    torch.testing.assert_close(swept, expected, rtol=1e-9, atol=1e-9)


def test_a_sweep_that_settles_nothing_changes_nothing(rows: Tensor) -> None:
    weight = draw(3, 6, seed=3)
    assert torch.equal(sweep(weight, 2 * rows.T @ rows, lambda column, current, _: current[:, column]), weight)


def test_pruning_reaches_the_density_and_loses_less_than_magnitude(rows: Tensor) -> None:
    weight, hessian = draw(8, 6, seed=3), 2 * rows.T @ rows
    by_magnitude = weight.clone()
    by_magnitude.flatten()[weight.abs().flatten().argsort()[:24]] = 0.0
    plain = float(output_error(by_magnitude - weight, hessian).sum())
    pruned = prune_matrix(weight, hessian, 0.5)
    assert int((pruned != 0).sum()) == 24
    assert float(output_error(pruned - weight, hessian).sum()) < 0.5 * plain


def test_costs_are_those_of_removing_one_after_another(rows: Tensor) -> None:
    # By plain least squares: what goes is, each time, what raises the error least.
    weight, hessian = draw(6, seed=2), 2 * rows.T @ rows
    kept, error, dearest, expected = list(range(6)), 0.0, 0.0, torch.zeros(6, dtype=torch.float64)
    while kept:
        left = {i: [j for j in kept if j != i] for i in kept}
        after = {
            i: float((rows @ (best_without(weight, rows, rest) - weight)).square().sum()) for i, rest in left.items()
        }
        gone = min(after, key=lambda i: after[i])
        dearest = max(dearest, after[gone] - error)
        expected[gone], error = dearest, after[gone]
        kept.remove(gone)
    torch.testing.assert_close(removal_costs(weight[None], hessian)[0], expected, rtol=1e-7, atol=1e-7)


def test_a_wide_matrix_is_swept_to_the_density() -> None:
    inputs = draw(900, 520).clamp_min(0)
    weight, hessian = draw(4, 520, seed=3), 2 * inputs.T @ inputs
    by_magnitude = weight.clone()
    by_magnitude.flatten()[weight.abs().flatten().argsort()[:1040]] = 0.0
    pruned = prune_matrix(weight, damped(hessian), 0.5)
    assert int((pruned != 0).sum()) == 1040
    losses = [float(output_error(each - weight, hessian).sum()) for each in (pruned, by_magnitude)]
    assert losses[0] < losses[1]


def test_independent_inputs_of_equal_size_make_it_magnitude_pruning() -> None:
    # The Hessian is the identity: OBS keeps the largest, and there is nothing to make up for.
    weight = torch.tensor([[1.0, -4.0, 2.0], [3.0, 0.5, -6.0]])
    pruned = prune_matrix(weight, torch.eye(3), 0.5)
    assert pruned.tolist() == [[0.0, -4.0, 0.0], [3.0, 0.0, -6.0]]


def test_the_first_weight_to_go_is_the_best_that_any_choice_could_remove(rows: Tensor) -> None:
    weight, hessian = draw(1, 6, seed=5), 2 * rows.T @ rows
    candidates = [best_without(weight[0], rows, list(kept)) for kept in itertools.combinations(range(6), 5)]
    best = min(candidates, key=lambda each: float(output_error((each - weight[0])[None], hessian)))
    torch.testing.assert_close(prune_matrix(weight, hessian, 5 / 6)[0], best, rtol=1e-9, atol=1e-9)


def test_layers_are_pruned_in_place_and_their_masks_hold_it() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(4, 8, 3, groups=2, bias=False), nn.Flatten(), nn.Linear(8, 3)).eval()
    hessians = layer_hessians(module, torch.randn(64, 4, 3, 3))
    before = {name: module.get_submodule(name).weight.detach().clone() for name in ("0", "2")}
    masks = prune_layers(module, hessians, {"0": 0.25})
    assert set(masks) == {"0"}
    assert int(masks["0"].sum()) == 36  # a quarter of 8 x 2 x 9, the same in both groups
    assert [int(group.sum()) for group in masks["0"].chunk(2)] == [18, 18]
    weight = module[0].weight.detach()
    assert float(weight[~masks["0"]].abs().sum()) == 0.0
    assert not torch.equal(weight[masks["0"]], before["0"][masks["0"]])
    assert torch.equal(module[2].weight.detach(), before["2"])
    prune_layers(module, hessians, 0.5)
    assert int((module[2].weight != 0).sum()) == 12


def test_damping_adds_a_share_of_the_mean_curvature() -> None:
    assert damped(torch.tensor([[1.0, 0.5], [0.5, 3.0]]), 0.1).tolist() == [
        [pytest.approx(1.2), 0.5],
        [0.5, pytest.approx(3.2)],
    ]
    # A layer fed with zeros only: any weight may go.
    assert damped(torch.zeros(1, 2, 2)).tolist() == [[[1.0, 0.0], [0.0, 1.0]]]


def test_a_singular_hessian_asks_for_damping() -> None:
    with pytest.raises(TrainingError, match=r"must be positive definite, got one of shape \(2, 2\) that is not: damp"):
        inverse(torch.ones(2, 2))


def test_wrong_densities_and_layers_without_a_hessian_are_refused() -> None:
    module = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(TrainingError, match="density must be above 0 and at most 1, got 0 for '0'"):
        prune_layers(module, {"0": torch.eye(2)[None]}, 0.0)
    with pytest.raises(TrainingError, match="needs the Hessian of each layer, got none for '0'"):
        prune_layers(module, {}, {"0": 0.5})
