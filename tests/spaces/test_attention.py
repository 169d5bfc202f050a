from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.errors import SpaceError
from parefront.spaces import trace
from parefront.spaces.attention import Attention, HeadAttention, open_attention

BATCH, QUERIES, KEYS, WIDTH = 3, 5, 7, 8


class Asks(nn.Module):
    """Calls an attention the way a user does."""

    def __init__(self, attention: nn.Module, call: Callable[..., object]) -> None:
        super().__init__()
        self.attention = attention
        self.call = call

    def forward(self, query: Tensor, key: Tensor) -> object:
        return self.call(self.attention, query, key)


def sequences(batch_first: bool) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(BATCH, QUERIES, WIDTH, generator=generator)
    key = torch.randn(BATCH, KEYS, WIDTH, generator=generator)
    return (query, key) if batch_first else (query.transpose(0, 1), key.transpose(0, 1))


CAUSAL = torch.ones(QUERIES, QUERIES).triu(1).bool()
PADDING = torch.arange(KEYS)[None].repeat(BATCH, 1) >= torch.tensor([[7], [5], [6]])
PER_HEAD = torch.linspace(-1, 1, BATCH * 2 * QUERIES * KEYS).reshape(BATCH * 2, QUERIES, KEYS)
CALLS: dict[str, Callable[..., object]] = {
    "cross": lambda m, q, k: m(q, k, k, need_weights=False)[0],
    "self": lambda m, q, k: m(q, q, q)[0],
    "weights": lambda m, q, k: m(q, k, k),
    "weights-of-each-head": lambda m, q, k: m(q, k, k, average_attn_weights=False),
    "padding": lambda m, q, k: m(q, k, k, key_padding_mask=PADDING),
    "causal": lambda m, q, k: m(q, q, q, attn_mask=CAUSAL, is_causal=True, need_weights=False)[0],
    "added-mask": lambda m, q, k: m(q, k, k, attn_mask=PER_HEAD[0], key_padding_mask=PADDING.float() * -2),
    "mask-of-each-head": lambda m, q, k: m(q, k, k, attn_mask=PER_HEAD),
}


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("call", CALLS)
def test_an_opened_attention_computes_the_same(call: str, batch_first: bool) -> None:
    torch.manual_seed(0)
    packed = nn.MultiheadAttention(WIDTH, 2, batch_first=batch_first)
    nn.init.normal_(packed.in_proj_bias)
    model = Asks(packed, CALLS[call]).eval()
    inputs = sequences(batch_first)
    with torch.no_grad():
        torch.testing.assert_close(trace(model, inputs).module(*inputs), model(*inputs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bias", [True, False])
def test_keys_and_values_may_have_widths_of_their_own(bias: bool) -> None:
    torch.manual_seed(0)
    packed = nn.MultiheadAttention(8, 4, bias=bias, kdim=6, vdim=4, batch_first=True).eval()
    query, key, value = torch.randn(2, 3, 8), torch.randn(2, 5, 6), torch.randn(2, 5, 4)
    with torch.no_grad():
        torch.testing.assert_close(Attention(packed)(query, key, value), packed(query, key, value))


def test_the_projections_are_layers_of_their_own() -> None:
    packed = nn.MultiheadAttention(8, 2, batch_first=True)
    network = trace(Asks(packed, CALLS["self"]), sequences(batch_first=True))
    names = [layer.name for layer in network.layers]
    assert names == ["attention.query", "attention.key", "attention.value", "attention.out_proj"]
    # Nobody reads what each token attends to, so it is not computed.
    assert "attention.head_weights" not in dict(network.module.named_modules())


def test_weights_nobody_asked_for_are_none() -> None:
    x = torch.zeros(1, 2, 8)
    assert Attention(nn.MultiheadAttention(8, 2, batch_first=True))(x, x, x, need_weights=False)[1] is None


def test_one_head_by_hand() -> None:
    # Scores q k / sqrt(1) of ln 3 and 0 become 3/4 and 1/4 of the values 4 and 8.
    query, key = torch.tensor([[[1.0]]]), torch.tensor([[[3.0], [1.0]]]).log()
    value = torch.tensor([[[4.0], [8.0]]])
    torch.testing.assert_close(HeadAttention(1, 1)(query, key, value), torch.tensor([[[5.0]]]))


def test_heads_do_not_see_each_other() -> None:
    unit, generator = HeadAttention(2, 3), torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 4, 6, generator=generator) for _ in range(3))
    first = HeadAttention(1, 3)(query[..., :3], key[..., :3], value[..., :3])
    torch.testing.assert_close(unit(query, key, value)[..., :3], first)


def test_dropout_is_for_training_only() -> None:
    unit = HeadAttention(1, 4, dropout=0.5)
    x = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(unit.eval()(x, x, x), unit(x, x, x))
    torch.manual_seed(0)
    assert not torch.allclose(unit.train()(x, x, x), unit.eval()(x, x, x))


# What stays closed or is refused, beside what is opened.


def test_added_tokens_keep_an_attention_closed() -> None:
    model = nn.ModuleDict(
        {
            "plain": nn.MultiheadAttention(8, 2),
            "biased": nn.MultiheadAttention(8, 2, add_bias_kv=True),
            "zero": nn.MultiheadAttention(8, 2, add_zero_attn=True),
        }
    )
    reason = "attention with added key and value tokens is not opened"
    assert open_attention(model) == {"biased": reason, "zero": reason}
    assert isinstance(model["plain"], Attention)
    assert isinstance(model["biased"], nn.MultiheadAttention)


def test_a_closed_attention_is_left_alone_and_works() -> None:
    model = Asks(nn.MultiheadAttention(8, 2, batch_first=True, add_zero_attn=True), CALLS["cross"]).eval()
    inputs = sequences(batch_first=True)
    network = trace(model, inputs)
    assert [item.name for item in network.left_alone] == ["attention"]
    torch.testing.assert_close(network.module(*inputs), model(*inputs))


def test_a_sequence_without_a_batch_is_refused() -> None:
    model = Asks(nn.MultiheadAttention(8, 2), CALLS["self"])
    with pytest.raises(SpaceError, match=r"'attention' failed: attention must be given a batch, .* got 2 axes"):
        trace(model, (torch.zeros(5, 8), torch.zeros(5, 8)))


# Torch's own transformers.


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True:UserWarning")
@pytest.mark.parametrize("batch_first", [True, False])
def test_transformers_are_looked_into(batch_first: bool) -> None:
    torch.manual_seed(0)
    model = nn.Transformer(8, 2, 1, 1, 12, batch_first=batch_first).eval()
    inputs = sequences(batch_first)
    network = trace(model, inputs)
    assert network.left_alone == ()
    assert len(network.layers) == 4 + 2 + 4 + 4 + 2  # attention and two layers; attention to itself, to the other, two
    with torch.no_grad():
        torch.testing.assert_close(network.module(*inputs), model(*inputs), rtol=1e-5, atol=1e-5)


class Masked(nn.Module):
    """An encoder with a causal mask, and one for padding."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)

    def forward(self, x: Tensor, padding: Tensor) -> tuple[Tensor, Tensor]:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        padded = self.encoder(x, src_key_padding_mask=padding)
        return self.encoder(x, mask=mask), padded[:, :4]  # what stands at padded places is arbitrary


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_a_transformer_with_masks_is_looked_into() -> None:
    torch.manual_seed(0)
    model = Masked().eval()
    inputs = torch.randn(3, 5, 8), torch.tensor([[False] * 4 + [True]] * 3)
    network = trace(model, inputs)
    assert network.left_alone == ()
    with torch.no_grad():
        torch.testing.assert_close(network.module(*inputs), model(*inputs), rtol=1e-5, atol=1e-5)
