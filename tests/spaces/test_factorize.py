import copy

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.errors import SpaceError
from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import trace
from parefront.spaces.factorize import Factorize, factor_weights, factorize_layer, last_factor, parse_rank

CONVOLUTIONS = {
    "3x3": nn.Conv2d(4, 6, 3, padding=1),
    "3x3 without bias or padding": nn.Conv2d(4, 6, 3, bias=False),
    "3x3 of stride 2": nn.Conv2d(4, 6, 3, stride=2, padding=1),
    "5x3 of stride 2x1": nn.Conv2d(4, 6, (5, 3), stride=(2, 1), padding=(2, 1)),
    "1x1": nn.Conv2d(4, 6, 1),
    "1x1 of stride 2": nn.Conv2d(4, 6, 1, stride=2),
}


def full_rank(scheme: str, conv: nn.Conv2d) -> int:
    """The smaller side of the matrix that the scheme takes apart: (in kh, out kw) or (out, in kh kw)."""
    out, inner, height, width = conv.weight.shape
    return min(inner * height, out * width) if scheme == "spatial" else min(out, inner * height * width)


def factorised(layer: nn.Module, choice: str, inputs: Tensor) -> nn.Module:
    module = copy.deepcopy(trace(nn.Sequential(copy.deepcopy(layer)), inputs).module)
    factorize_layer(module, "0", choice)
    module.recompile()
    return module


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("case", CONVOLUTIONS)
@pytest.mark.parametrize("scheme", ["svd", "spatial", "channel"])
def test_a_convolution_at_full_rank_is_exact(scheme: str, case: str, dtype: torch.dtype, tolerance: float) -> None:
    conv = CONVOLUTIONS[case].to(dtype)
    inputs = torch.randn(2, 4, 9, 9, dtype=dtype, generator=torch.Generator().manual_seed(0))
    module = factorised(conv, f"{scheme}:{full_rank(scheme, conv)}", inputs)
    with torch.no_grad():
        expected, values = conv(inputs), module(inputs)
    assert values.dtype == dtype
    assert values.shape == expected.shape
    assert (values - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("has_bias", [False, True])
def test_a_linear_layer_at_full_rank_is_exact(has_bias: bool, dtype: torch.dtype, tolerance: float) -> None:
    linear = nn.Linear(9, 7, bias=has_bias, dtype=dtype)
    inputs = torch.randn(3, 9, dtype=dtype, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, values = linear(inputs), factorised(linear, "svd:7", inputs)(inputs)
    assert (values - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize(
    ("choice", "shapes"),
    [
        ("spatial:5", [(5, 4, 3, 1), (6, 5, 1, 3)]),
        ("channel:5", [(5, 4, 3, 3), (6, 5, 1, 1)]),
    ],
)
def test_the_factors_have_the_shapes_and_weights_of_the_table(choice: str, shapes: list[tuple[int, ...]]) -> None:
    module = factorised(nn.Conv2d(4, 6, 3, bias=False), choice, torch.zeros(1, 4, 9, 9))
    weights = [parameter for _, parameter in module.named_parameters()]
    assert [tuple(weight.shape) for weight in weights] == shapes
    assert sum(weight.numel() for weight in weights) == factor_weights(choice, 4, 6, (3, 3))
    assert last_factor(module, "0") == "0.1"


@pytest.mark.parametrize(
    ("choice", "weights"),
    # METHODS section 5 with C = 32, N = 64, k = 3: r(m + n), rk(C + N), r(Ck² + N).
    [("svd:8", 8 * (32 + 64)), ("spatial:8", 8 * 3 * (32 + 64)), ("channel:8", 8 * (32 * 9 + 64))],
)
def test_weights_by_the_formula(choice: str, weights: int) -> None:
    assert factor_weights(choice, 32, 64, (3, 3) if not choice.startswith("svd") else (1, 1)) == weights


def test_a_truncation_loses_the_energy_of_the_dropped_singular_values() -> None:
    # Eckart and Young 1936, on a weight whose singular values are 5, 4, 2 and 1 by construction.
    generator = torch.Generator().manual_seed(0)
    left, _ = torch.linalg.qr(torch.randn(6, 4, dtype=torch.float64, generator=generator))
    right, _ = torch.linalg.qr(torch.randn(5, 4, dtype=torch.float64, generator=generator))
    linear = nn.Linear(5, 6, bias=False, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(left @ torch.diag(torch.tensor([5.0, 4.0, 2.0, 1.0], dtype=torch.float64)) @ right.T)
    module = factorised(linear, "svd:2", torch.zeros(1, 5, dtype=torch.float64))
    product = (module.get_parameter("0.1.weight") @ module.get_parameter("0.0.weight")).detach()
    assert float((product - linear.weight.detach()).square().sum()) == pytest.approx(2.0**2 + 1.0**2)


def test_ranks_keep_shares_of_the_energy_on_the_grid() -> None:
    # Shares of the energy at ranks 8, 16, 24, 40: .51, .71, .86, .96, evenly spread between. So 50, 70 and 85 % are
    # reached just before 8, 16 and 24; 95 % at 39, on the grid 40, whose 40 x 128 weights are more than 64 x 64.
    steps = ((8, 0.51), (8, 0.20), (8, 0.15), (16, 0.10), (24, 0.04))
    energy = torch.cat([torch.full((count,), share / count, dtype=torch.float64) for count, share in steps])
    linear = nn.Linear(64, 64)
    with torch.no_grad():
        linear.weight.copy_(torch.diag(energy.sqrt()))
    found = Factorize().find_sites(trace(nn.Sequential(linear), torch.zeros(1, 64)), Capabilities(channel_grid=8))
    assert [(site.name, site.choices) for site in found.sites] == [("rank/0", ("full", "svd:24", "svd:16", "svd:8"))]


def test_every_rank_costs_less_than_the_layer_and_less_than_the_one_before() -> None:
    conv = nn.Conv2d(48, 64, 3, bias=False)
    found = Factorize().find_sites(trace(nn.Sequential(conv), torch.zeros(1, 48, 5, 5)), Capabilities())
    choices = [str(choice) for choice in found.sites[0].choices]
    costs = [factor_weights(choice, 48, 64, (3, 3)) for choice in choices[1:]]
    assert choices[0] == "full"
    assert {parse_rank(choice)[0] for choice in choices[1:]} == {"spatial", "channel"}
    assert all(parse_rank(choice)[1] % 8 == 0 for choice in choices[1:])
    assert costs == sorted(costs, reverse=True)
    assert costs[0] < 48 * 64 * 9


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.Conv2d(32, 32, 3, groups=2), "grouped"),
        (nn.Conv2d(32, 32, 3, dilation=2), "dilated"),
        (nn.Conv2d(32, 32, 3, padding="same"), "a number of zeros"),
        (nn.Conv2d(32, 32, 3, padding=1, padding_mode="circular"), "a number of zeros"),
        (nn.Conv2d(4, 6, 1), "no rank on the grid"),
    ],
)
def test_what_cannot_be_factorised_is_left_alone(layer: nn.Conv2d, reason: str) -> None:
    network = trace(nn.Sequential(layer), torch.zeros(1, layer.in_channels, 9, 9))
    found = Factorize().find_sites(network, Capabilities())
    assert found.sites == ()
    assert reason in found.left_alone[0].reason


def test_a_rank_is_a_scheme_and_a_number() -> None:
    assert parse_rank("spatial:24") == ("spatial", 24)


@pytest.mark.parametrize(
    "text", ["full", "24", "spatial", "spatial:", "spatial:0", "spatial:-8", "tucker:8", "svd:8.5"]
)
def test_other_text_is_no_rank(text: str) -> None:
    with pytest.raises(SpaceError, match="SCHEME:RANK with a scheme of svd, spatial, channel, got"):
        parse_rank(text)


def test_a_scheme_that_needs_a_convolution_says_so() -> None:
    with pytest.raises(SpaceError, match="needs a convolution, got Linear"):
        factorised(nn.Linear(8, 8), "spatial:4", torch.zeros(1, 8))
