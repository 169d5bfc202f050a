from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from parefront.spaces import trace


class Model(nn.Module):
    """Whatever forward a test wants, with a layer to call."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.run = forward

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


def by_shape(m: Model, x: Tensor) -> Tensor:
    if x.shape[1] > 3:
        return x
    x = m.conv(x)
    if x.size(1) == 4 and x.dim() == 4 and not x.requires_grad and len(x.shape) == x.ndim:
        return x * len(x.shape)
    return x


def by_numbers(m: Model, x: Tensor) -> Tensor:
    scale = float(x.shape[2]) ** -0.5
    height = x.shape[2]
    height += 1  # a number, of which the old value is used below
    return m.conv(x) * scale + height - int(x.shape[2] / 2)


def by_alias(m: Model, x: Tensor) -> Tensor:
    x = m.conv(x)
    same = x
    same += 1
    same *= 2
    same -= 3
    same /= 4
    return x + 1


def by_kind(m: Model, x: Tensor) -> Tensor:
    x = m.conv(x).to(dtype=x.dtype, device=x.device)
    return x.double() if x.dtype == torch.float32 else x


@pytest.mark.parametrize("forward", [by_shape, by_numbers, by_alias, by_kind])
def test_what_the_forward_asks_is_answered_as_without_tracing(forward: Callable[..., Any]) -> None:
    model = Model(forward).eval()
    network = trace(model, torch.zeros(2, 3, 4, 4))
    inputs = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(network.module(inputs), model(inputs))
    assert network.left_alone == ()
