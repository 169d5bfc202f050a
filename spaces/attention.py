"""Multi-head attention as layers that techniques can work on: the projections become linear layers of their own."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..hardware_profiles.errors import SpaceError


class HeadAttention(nn.Module):
    """Scaled dot-product attention, head by head (Vaswani et al. 2017, equation 1).

    Attributes:
        n_heads: Heads that the channels are divided into; pruning removes whole heads and lowers it.
        head_width: Channels per head.
    """

    def __init__(self, n_heads: int, head_width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.head_width = head_width
        self.dropout = dropout

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, is_causal: bool = False
    ) -> Tensor:
        """(n, tokens, heads * width) three times → the same shape as the query."""
        dropout = self.dropout if self.training else 0.0
        q, k, v = (_to_heads(each, self.head_width) for each in (query, key, value))
        mixed = functional.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal)
        return mixed.transpose(1, 2).flatten(2)  # (n, heads, tokens, width) -> (n, tokens, heads * width)


class HeadWeights(nn.Module):
    """What each token attends to, head by head: only computed where somebody reads it."""

    def __init__(self, head_width: int) -> None:
        super().__init__()
        self.head_width = head_width

    def forward(self, query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
        """(n, tokens, heads * width) twice → (n, heads, tokens of the query, tokens of the key)."""
        scores = _to_heads(query, self.head_width) @ _to_heads(key, self.head_width).transpose(2, 3)
        scores = scores / self.head_width**0.5
        return torch.softmax(scores if mask is None else scores + mask, -1)


class Attention(nn.Module):
    """Does what `nn.MultiheadAttention` does, with its packed projection as three linear layers."""

    # Torch's transformer layers ask for these two, and then take no shortcut around this module.
    in_proj_bias = None
    _qkv_same_embed_dim = False

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear

    def __init__(self, packed: nn.MultiheadAttention) -> None:
        super().__init__()
        width = packed.embed_dim
        self.batch_first = packed.batch_first  # torch's transformer modules ask for it by this name
        weights, biases = _projections(packed)
        for name, weight, bias in zip(("query", "key", "value"), weights, biases, strict=True):
            self.add_module(name, _linear(weight, bias))
        self.heads = HeadAttention(packed.num_heads, width // packed.num_heads, packed.dropout)
        self.head_weights = HeadWeights(width // packed.num_heads)
        self.out_proj = _linear(packed.out_proj.weight, packed.out_proj.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """As `nn.MultiheadAttention.forward`, for batches."""
        if query.ndim != 3:
            raise SpaceError(f"attention must be given a batch, shape (n, tokens, channels), but got {query.ndim} axes")
        if not self.batch_first:
            query, key, value = (each.transpose(0, 1) for each in (query, key, value))
        mask = _as_addend(attn_mask, key_padding_mask, query.dtype, self.heads.n_heads)
        q, k, v = self.query(query), self.key(key), self.value(value)
        out: Tensor = self.out_proj(self.heads(q, k, v, mask))
        out = out if self.batch_first else out.transpose(0, 1)
        if not need_weights:
            return out, None
        weights = self.head_weights(q, k, mask)
        return out, weights.mean(1) if average_attn_weights else weights


def open_attention(model: nn.Module) -> dict[str, str]:
    """Replaces, in place, each `nn.MultiheadAttention` by `Attention`.

    Returns:
        The ones that stay closed, with the reason.
    """
    closed: dict[str, str] = {}
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.TransformerEncoder):
            module.use_nested_tensor = False  # for padded batches it would go around its layers
        if not isinstance(module, nn.MultiheadAttention):
            continue
        reason = _obstacle(module)
        if reason:
            closed[name] = reason
            continue
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, Attention(module).train(module.training))
    return closed


def _obstacle(module: nn.MultiheadAttention) -> str | None:
    if module.bias_k is not None or module.add_zero_attn:
        return "attention with added key and value tokens is not opened"
    return None


def _projections(packed: nn.MultiheadAttention) -> tuple[tuple[Tensor, ...], tuple[Tensor | None, ...]]:
    if packed._qkv_same_embed_dim:
        assert packed.in_proj_weight is not None
        weights: tuple[Tensor, ...] = packed.in_proj_weight.chunk(3)
    else:
        weights = (packed.q_proj_weight, packed.k_proj_weight, packed.v_proj_weight)
    bias = cast("Tensor | None", packed.in_proj_bias)
    return weights, (None, None, None) if bias is None else bias.chunk(3)


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    # Without the usual random weights: drawing them would cost time and disturb the global generator.
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta", dtype=weight.dtype)
    linear.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        linear.bias = nn.Parameter(bias.detach().clone())
    return linear


def _as_addend(mask: Tensor | None, padding: Tensor | None, dtype: torch.dtype, n_heads: int) -> Tensor | None:
    """Both masks as one that is added to the scores, broadcastable to (n, heads, tokens, tokens)."""
    parts = []
    if mask is not None:
        if mask.ndim == 3:  # each head has its own
            mask = torch.unflatten(mask, 0, (-1, n_heads))
        parts.append(_to_addend(mask, dtype))
    if padding is not None:
        parts.append(_to_addend(padding, dtype)[:, None, None])
    return sum(parts[1:], parts[0]) if parts else None


def _to_addend(mask: Tensor, dtype: torch.dtype) -> Tensor:
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=dtype).masked_fill(mask, float("-inf"))


def _to_heads(x: Tensor, head_width: int) -> Tensor:
    # (n, tokens, heads * width) -> (n, heads, tokens, width)
    return torch.unflatten(x, 2, (-1, head_width)).transpose(1, 2)
