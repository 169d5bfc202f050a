import math

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.errors import SpaceError
from parefront.spaces.rank_scheme import Source, rank_on_grid, ranks_by_energy
from parefront.spaces.rank_schemes import factor_macs, factor_weights, lost_energies, parse_rank, split_layer


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def product(factors: list[nn.Module]) -> nn.Sequential:
    return nn.Sequential(*factors)


# The text of a choice.


@pytest.mark.parametrize(
    ("text", "scheme", "ranks"),
    [("spatial:24", "spatial", (24,)), ("asvd:8", "asvd", (8,)), ("tucker:16x24", "tucker", (16, 24))],
)
def test_a_rank_is_a_scheme_and_its_numbers(text: str, scheme: str, ranks: tuple[int, ...]) -> None:
    assert parse_rank(text) == (scheme, ranks)


@pytest.mark.parametrize(
    "text",
    ["full", "24", "spatial", "spatial:", "spatial:0", "spatial:-8", "spatial:8x8", "tucker:8", "tucker:8x", "svd:8.5"],
)
def test_other_text_is_no_rank(text: str) -> None:
    with pytest.raises(
        SpaceError, match=r"a rank must be one of svd:R, asvd:R, .*, tucker:RxR, cp:R with R a positive"
    ):
        parse_rank(text)


# What the factors weigh.


@pytest.mark.parametrize(
    ("choice", "kernel_size", "weights"),
    # METHODS section 5 with C = 32, N = 64, k = 3.
    [
        ("svd:8", (1, 1), 8 * (32 + 64)),
        ("asvd:8", (1, 1), 8 * (32 + 64)),
        ("spatial:8", (3, 3), 8 * 3 * (32 + 64)),
        ("channel:8", (3, 3), 8 * (32 * 9 + 64)),
        ("tucker:8x16", (3, 3), 32 * 8 + 8 * 16 * 9 + 16 * 64),
        ("cp:8", (3, 3), 8 * (32 + 2 * 3 + 64)),
        # In one and three dimensions.
        ("channel:8", (5,), 8 * (32 * 5 + 64)),
        ("tucker:8x16", (3, 3, 3), 32 * 8 + 8 * 16 * 27 + 16 * 64),
        # An oblong kernel, 5 high and 3 wide.
        ("spatial:8", (5, 3), 8 * (32 * 5 + 64 * 3)),
    ],
)
def test_weights_by_the_formula(choice: str, kernel_size: tuple[int, ...], weights: int) -> None:
    assert factor_weights(choice, 32, 64, kernel_size) == weights


@pytest.mark.parametrize(
    ("choice", "macs"),
    # Stride 2 x 2 and 10 output positions: in front of the stride 40 positions, between its two axes 20.
    [
        ("channel:8", (8 * 32 * 9 + 8 * 64) * 10),
        ("spatial:8", 8 * 32 * 3 * 20 + 8 * 64 * 3 * 10),
        ("tucker:8x16", 32 * 8 * 40 + 8 * 16 * 9 * 10 + 16 * 64 * 10),
        ("cp:8", 8 * 32 * 40 + 8 * 3 * 20 + 8 * 3 * 10 + 8 * 64 * 10),
    ],
)
def test_factors_in_front_of_the_stride_see_more_positions(choice: str, macs: int) -> None:
    assert factor_macs(choice, 32, 64, (3, 3), (2, 2), 10) == macs


# Ranks by kept energy.


def test_ranks_keep_shares_of_the_energy_on_the_grid() -> None:
    # Shares of the energy at ranks 8, 16, 24, 40: .51, .71, .86, .96, evenly spread between.
    steps = ((8, 0.51), (8, 0.20), (8, 0.15), (16, 0.10), (24, 0.04))
    energy = torch.cat([torch.full((count,), share / count) for count, share in steps])
    assert ranks_by_energy(energy, 8) == [40, 24, 16, 8]
    assert ranks_by_energy(energy, 16) == [32, 32, 16, 16]  # 39, 24, 16 and 8 on a coarser grid; halves go to even


@pytest.mark.parametrize(("rank", "on_grid"), [(1, 8), (11, 8), (13, 16), (24, 24)])
def test_a_rank_on_the_grid_is_the_nearest_and_at_least_one_step(rank: int, on_grid: int) -> None:
    assert rank_on_grid(rank, 8) == on_grid


# The factors do what the layer does.

CONVOLUTIONS = {
    "3x3": (nn.Conv2d(4, 6, 3, padding=1), (9, 9)),
    "without bias or padding": (nn.Conv2d(4, 6, 3, bias=False), (9, 9)),
    "of stride 2": (nn.Conv2d(4, 6, 3, stride=2, padding=1), (9, 9)),
    "5x3 of stride 2x1": (nn.Conv2d(4, 6, (5, 3), stride=(2, 1), padding=(2, 1)), (9, 9)),
    "dilated by axis": (nn.Conv2d(4, 6, 3, dilation=(2, 3), padding=(2, 1)), (9, 9)),
    "padded to the same": (nn.Conv2d(4, 6, 3, padding="same", dilation=2), (9, 9)),
    "padded unevenly to the same": (nn.Conv2d(4, 6, (4, 3), padding="same"), (9, 9)),
    "padded validly": (nn.Conv2d(4, 6, 3, padding="valid"), (9, 9)),
    "padded in a circle": (nn.Conv2d(4, 6, 3, padding=(2, 1), padding_mode="circular"), (9, 9)),
    "padded by reflection": (nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), (9, 9)),
    "1x1 of stride 2": (nn.Conv2d(4, 6, 1, stride=2), (9, 9)),
    "1d": (nn.Conv1d(4, 6, 5, stride=2, padding=2), (17,)),
    "1d of one pixel": (nn.Conv1d(4, 6, 1), (17,)),
    "3d": (nn.Conv3d(4, 6, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)), (4, 7, 7)),
}
TWO_DIMENSIONAL = [case for case, (_, size) in CONVOLUTIONS.items() if len(size) == 2]


def full_rank(scheme: str, layer: nn.Module) -> str:
    """The ranks at which nothing is lost: the shorter side of each matrix that the scheme takes apart."""
    out, inner, *kernel = layer.weight.shape
    if scheme == "spatial":
        return f"spatial:{min(inner * kernel[0], out * kernel[1])}"
    return f"tucker:{inner}x{out}" if scheme == "tucker" else f"{scheme}:{min(out, inner * math.prod(kernel))}"


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize(
    ("scheme", "case"),
    [(scheme, case) for scheme in ("channel", "tucker") for case in CONVOLUTIONS]
    + [("spatial", case) for case in TWO_DIMENSIONAL],
)
def test_a_convolution_at_full_rank_is_exact(scheme: str, case: str, dtype: torch.dtype, tolerance: float) -> None:
    layer, size = CONVOLUTIONS[case]
    layer = layer.to(dtype)
    inputs = random(2, 4, *size).to(dtype)
    with torch.no_grad():
        expected, values = layer(inputs), product(split_layer(layer, full_rank(scheme, layer)))(inputs)
    assert values.dtype == dtype
    assert values.shape == expected.shape
    assert (values - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("shape", [(3, 9), (2, 5, 9)])
@pytest.mark.parametrize("scheme", ["svd", "asvd"])
def test_a_linear_layer_at_full_rank_is_exact(
    scheme: str, shape: tuple[int, ...], has_bias: bool, dtype: torch.dtype, tolerance: float
) -> None:
    linear = nn.Linear(9, 7, bias=has_bias, dtype=dtype)
    inputs = random(*shape).to(dtype)
    source = Source(linear, torch.eye(9, dtype=torch.float64) if scheme == "asvd" else None)
    with torch.no_grad():
        expected, values = linear(inputs), product(split_layer(linear, f"{scheme}:7", source))(inputs)
    assert (values - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize(
    ("choice", "shapes"),
    [
        ("spatial:5", [(5, 4, 3, 1), (6, 5, 1, 3)]),
        ("channel:5", [(5, 4, 3, 3), (6, 5, 1, 1)]),
        ("tucker:2x5", [(2, 4, 1, 1), (5, 2, 3, 3), (6, 5, 1, 1)]),
        ("cp:5", [(5, 4, 1, 1), (5, 1, 3, 1), (5, 1, 1, 3), (6, 5, 1, 1)]),
    ],
)
def test_the_factors_have_the_shapes_and_weights_of_the_table(choice: str, shapes: list[tuple[int, ...]]) -> None:
    factors = split_layer(nn.Conv2d(4, 6, 3), choice)
    assert [tuple(factor.weight.shape) for factor in factors] == shapes
    assert [factor.bias is not None for factor in factors] == [False] * (len(factors) - 1) + [True]
    assert sum(factor.weight.numel() for factor in factors) == factor_weights(choice, 4, 6, (3, 3))


def test_splitting_draws_no_random_numbers() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    layer = nn.Conv2d(4, 6, 3)
    torch.manual_seed(0)
    split_layer(layer, "tucker:2x5")
    assert torch.equal(torch.rand(3), expected)


# What is lost.


@pytest.mark.parametrize(
    ("layer", "choice"),
    [
        (nn.Linear(9, 7, dtype=torch.float64), "svd:3"),
        (nn.Conv2d(5, 6, 3, dtype=torch.float64), "channel:3"),
        (nn.Conv2d(5, 6, 3, dtype=torch.float64), "spatial:6"),
        (nn.Conv2d(5, 6, 3, dtype=torch.float64), "tucker:3x4"),
        (nn.Conv2d(5, 6, 3, dtype=torch.float64), "cp:4"),
    ],
)
def test_the_lost_energy_is_the_squared_error_of_the_weight(layer: nn.Module, choice: str) -> None:
    # A layer fed with one input at a time shows its weight; the bias cancels.
    if isinstance(layer, nn.Linear):
        probes = torch.eye(9, dtype=torch.float64)
    else:
        probes = torch.eye(45, dtype=torch.float64).reshape(45, 5, 3, 3)
    with torch.no_grad():
        error = (product(split_layer(layer, choice))(probes) - layer(probes)).square().sum()
    share = float(error / layer.weight.detach().square().sum())
    assert 0 < share < 1
    assert lost_energies(Source(layer), [choice])[choice] == pytest.approx(share, rel=1e-6)


# What cannot be done.


@pytest.mark.parametrize(
    ("layer", "choice", "message"),
    [
        (nn.Linear(8, 8), "spatial:4", "needs a convolution, got Linear: take svd"),
        (nn.Linear(8, 8), "tucker:4x4", "needs a convolution, got Linear: take svd"),
        (nn.Conv1d(8, 8, 3), "spatial:4", r"a kernel of two dimensions, got \(3,\): take channel"),
        (nn.Conv1d(8, 8, 3), "cp:4", r"a kernel of two dimensions, got \(3,\): take channel"),
        (nn.Linear(8, 8), "asvd:4", "asvd needs a linear layer and the second moment of its inputs, got none"),
        (nn.ConvTranspose2d(8, 8, 3), "channel:4", "only convolutions and linear layers .* got ConvTranspose2d"),
    ],
)
def test_a_layer_that_a_scheme_cannot_split_is_refused(layer: nn.Module, choice: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        split_layer(layer, choice)
