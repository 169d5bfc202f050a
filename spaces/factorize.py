"""Low rank: a layer becomes two smaller ones, from a truncated singular value decomposition of its weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from ..hardware_profiles.errors import SpaceError
from ..hardware_profiles.profile import Capabilities
from .network import Layer, Network, replace_module
from .site import LeftAlone, Site
from .technique import Decisions, Found

KEPT_ENERGIES = (0.95, 0.85, 0.7, 0.5)
"""Shares of the squared singular values at which ranks are offered, rounded to the channel grid."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way to split one layer in two.

    Attributes:
        as_matrix: Weight → the matrix whose singular values the rank truncates.
        split: Layer and rank → its two factors.
        weights: Weights of the two factors together, for a rank and the layer's channels and kernel.
    """

    as_matrix: Callable[[Tensor], Tensor]
    split: Callable[[nn.Module, int], tuple[nn.Module, nn.Module]]
    weights: Callable[[int, int, int, tuple[int, int]], int]


def factor_weights(choice: str, in_channels: int, out_channels: int, kernel_size: tuple[int, int]) -> int:
    """Weights that a rank choice such as `"spatial:24"` leaves at those channels."""
    scheme, rank = parse_rank(choice)
    return SCHEMES[scheme].weights(rank, in_channels, out_channels, kernel_size)


def parse_rank(choice: str) -> tuple[str, int]:
    """`"spatial:24"` → `("spatial", 24)`.

    Raises:
        SpaceError: The text is not a scheme and a positive rank.
    """
    scheme, _, rank = choice.partition(":")
    if scheme not in SCHEMES or not rank.isdecimal() or int(rank) < 1:
        raise SpaceError(f"a rank must be SCHEME:RANK with a scheme of {', '.join(SCHEMES)}, got {choice!r}")
    return scheme, int(rank)


@dataclass(frozen=True, slots=True)
class Factorize:
    """Offers, per layer and scheme, the ranks that cost less than the layer itself."""

    name: str = "rank"

    def find_sites(self, network: Network, capabilities: Capabilities) -> Found:
        """One site per layer that has a cheaper factorisation on the grid."""
        sites, left_alone = [], []
        for layer in network.layers:
            module = network.module.get_submodule(layer.name)
            reason = _obstacle(layer, module)
            choices = [] if reason else _choices(layer, module, capabilities.channel_grid)
            if choices:
                sites.append(Site(f"{self.name}/{layer.name}", (layer.name,), ("full", *choices)))
            else:
                reason = reason or "no rank on the grid costs less than the layer"
                left_alone.append(LeftAlone(self.name, layer.name, reason))
        return Found(tuple(sites), tuple(left_alone))

    def prepare(self, module: fx.GraphModule, decisions: Decisions, network: Network) -> None:
        """Replaces each decided layer by a sequence of its two factors, as two nodes of the graph."""
        for name, choice in decisions.items():
            factorize_layer(module, name, str(choice))
        if decisions:
            module.recompile()

    def finish(self, module: fx.GraphModule, decisions: Decisions) -> None:
        """Nothing is left to do: the factors are what is deployed."""


def factorize_layer(module: fx.GraphModule, name: str, choice: str) -> None:
    """Splits one layer of a graph in place into `name.0` and `name.1`."""
    scheme, rank = parse_rank(choice)
    first, second = SCHEMES[scheme].split(module.get_submodule(name), rank)
    node = next(node for node in module.graph.nodes if node.op == "call_module" and node.target == name)
    replace_module(module, name, nn.Sequential(first, second))
    with module.graph.inserting_before(node):
        first_node = module.graph.call_module(f"{name}.0", node.args)
    node.target, node.args = f"{name}.1", (first_node,)


def last_factor(module: nn.Module, name: str) -> str:
    """The layer whose outputs are those of the original layer `name`: itself, or the second of its factors."""
    return f"{name}.1" if isinstance(module.get_submodule(name), nn.Sequential) else name


def is_part_of(layer: str, original: str) -> bool:
    """Whether a layer of a compressed network is the original layer of that name or one of its factors."""
    return layer in (original, f"{original}.0", f"{original}.1")


def _obstacle(layer: Layer, module: nn.Module) -> str | None:
    """Why a layer is not factorised, or None where it may be."""
    if layer.n_calls > 1:
        return "it is called in several places"
    if layer.groups != 1:
        return "grouped convolutions are not factorised"
    if isinstance(module, nn.Conv2d) and max(module.dilation) > 1:
        return "dilated convolutions are not factorised"
    if isinstance(module, nn.Conv2d) and (isinstance(module.padding, str) or module.padding_mode != "zeros"):
        return "only convolutions padded with a number of zeros are factorised"
    return None


def _choices(layer: Layer, module: nn.Module, grid: int) -> list[str]:
    """Ranks from large to small, of every scheme that fits the layer."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    full = layer.in_channels * layer.out_channels * math.prod(layer.kernel_size)
    found: list[tuple[int, str]] = []
    for scheme in ("svd",) if math.prod(layer.kernel_size) == 1 else ("spatial", "channel"):
        energy = singular_energy(SCHEMES[scheme].as_matrix(weight.detach()))
        kept = torch.cumsum(energy, 0) / energy.sum()
        for share in KEPT_ENERGIES:
            rank = int((kept < share).sum()) + 1
            rank = max(grid, round(rank / grid) * grid)
            choice = f"{scheme}:{rank}"
            cost = factor_weights(choice, layer.in_channels, layer.out_channels, layer.kernel_size)
            if rank < len(energy) and cost < full and (cost, choice) not in found:
                found.append((cost, choice))
    return [choice for _, choice in sorted(found, reverse=True)]


def singular_energy(matrix: Tensor) -> Tensor:
    """Squared singular values, largest first, shape (min(a, b),): by the smaller Gram matrix, cheaper than an SVD."""
    matrix = matrix.double()
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    energy: Tensor = torch.linalg.eigvalsh(gram)  # ascending
    return energy.clamp_min(0).flip(0)


def _truncate(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """(a, b) → (a, r) and (r, b), the singular values shared evenly between the two."""
    left, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    root = values[:rank].sqrt()
    return left[:, :rank] * root, root[:, None] * right[:rank]


def _spatial_matrix(weight: Tensor) -> Tensor:
    out, inner, height, width = weight.shape  # (out, in, kh, kw) -> (in*kh, out*kw)
    return weight.permute(1, 2, 0, 3).reshape(inner * height, out * width)


def _split_spatial(module: nn.Module, rank: int) -> tuple[nn.Module, nn.Module]:
    """k x 1, then 1 x k (Jaderberg et al. 2014, scheme 2)."""
    conv = _conv(module)
    out, inner, height, width = conv.weight.shape
    left, right = _truncate(_spatial_matrix(conv.weight.detach()), rank)
    first = _new_conv(conv, inner, rank, (height, 1), (conv.stride[0], 1), (_padding(conv)[0], 0), has_bias=False)
    second = _new_conv(conv, rank, out, (1, width), (1, conv.stride[1]), (0, _padding(conv)[1]), has_bias=True)
    _load(first, left.reshape(inner, height, rank).permute(2, 0, 1)[..., None])  # -> (r, in, kh, 1)
    _load(second, right.reshape(rank, out, width).permute(1, 0, 2)[:, :, None], conv.bias)  # -> (out, r, 1, kw)
    return first, second


def _split_channel(module: nn.Module, rank: int) -> tuple[nn.Module, nn.Module]:
    """k x k to `rank` channels, then 1 x 1."""
    conv = _conv(module)
    out, inner, height, width = conv.weight.shape
    left, right = _truncate(conv.weight.detach().reshape(out, -1), rank)
    stride, padding = (conv.stride[0], conv.stride[1]), _padding(conv)
    first = _new_conv(conv, inner, rank, (height, width), stride, padding, has_bias=False)
    second = _new_conv(conv, rank, out, (1, 1), (1, 1), (0, 0), has_bias=True)
    _load(first, right.reshape(rank, inner, height, width))
    _load(second, left[:, :, None, None], conv.bias)
    return first, second


def _split_svd(module: nn.Module, rank: int) -> tuple[nn.Module, nn.Module]:
    """Two linear layers, or two 1 x 1 convolutions of which the first has the stride."""
    if isinstance(module, nn.Conv2d):
        return _split_channel(module, rank)
    if not isinstance(module, nn.Linear):
        raise SpaceError(f"only convolutions and linear layers can be factorised, got {type(module).__name__}")
    left, right = _truncate(module.weight.detach(), rank)
    options = {"device": module.weight.device, "dtype": module.weight.dtype}
    first = nn.Linear(module.in_features, rank, bias=False, **options)
    second = nn.Linear(rank, module.out_features, bias=module.bias is not None, **options)
    _load(first, right)
    _load(second, left, module.bias)
    return first, second


def _conv(module: nn.Module) -> nn.Conv2d:
    if not isinstance(module, nn.Conv2d):
        raise SpaceError(f"this rank scheme needs a convolution, got {type(module).__name__}")
    return module


def _padding(conv: nn.Conv2d) -> tuple[int, int]:
    if isinstance(conv.padding, str):
        raise SpaceError(f"padding must be numbers, got {conv.padding!r}")
    return conv.padding[0], conv.padding[1]


def _new_conv(
    like: nn.Conv2d,
    inner: int,
    out: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    *,
    has_bias: bool,
) -> nn.Conv2d:
    bias = has_bias and like.bias is not None
    return nn.Conv2d(inner, out, kernel, stride, padding, bias=bias, device=like.weight.device, dtype=like.weight.dtype)


def _load(layer: nn.Conv2d | nn.Linear, weight: Tensor, bias: Tensor | None = None) -> None:
    with torch.no_grad():
        layer.weight.copy_(weight)
        if layer.bias is not None and bias is not None:
            layer.bias.copy_(bias)


def _linear_matrix(weight: Tensor) -> Tensor:
    return weight.reshape(weight.shape[0], -1)


SCHEMES: dict[str, Scheme] = {
    "svd": Scheme(_linear_matrix, _split_svd, lambda r, i, o, k: r * (i + o)),
    "spatial": Scheme(_spatial_matrix, _split_spatial, lambda r, i, o, k: r * (i * k[0] + o * k[1])),
    "channel": Scheme(_linear_matrix, _split_channel, lambda r, i, o, k: r * (i * k[0] * k[1] + o)),
}
