import operator
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from parefront.spaces.attention import HeadAttention, HeadWeights
from parefront.spaces.linearise import LinearisedActivation
from parefront.spaces.modularise import Split
from parefront.spaces.operations import Kind, kind_of


class OwnActivation(nn.ReLU):
    """A user's module may do anything in its forward, whatever it inherits."""


def relu(x: torch.Tensor) -> torch.Tensor:
    return x.flip(1)


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        (nn.Conv1d(2, 2, 1), Kind.LAYER),
        (nn.ConvTranspose3d(2, 2, 1), Kind.LAYER),
        (nn.Linear(2, 2), Kind.LAYER),
        (nn.BatchNorm3d(2), Kind.NORM),
        (nn.InstanceNorm1d(2), Kind.NORM),
        (nn.LayerNorm(2), Kind.NORM),
        (nn.GroupNorm(1, 2), Kind.NORM),
        (nn.PReLU(), Kind.NORM),
        (nn.GELU(), Kind.POINTWISE),
        (nn.Dropout2d(), Kind.POINTWISE),
        (LinearisedActivation(nn.ReLU()), Kind.POINTWISE),
        (nn.AdaptiveAvgPool2d(1), Kind.LOCAL),
        (nn.MaxPool1d(2), Kind.LOCAL),
        (nn.ZeroPad2d(1), Kind.LOCAL),
        (nn.Upsample(scale_factor=2), Kind.LOCAL),
        (nn.Flatten(), Kind.MOVEMENT),
        (Split([1, 1], 1), Kind.SPLIT),
        (HeadAttention(1, 2), Kind.ATTENTION),
        (HeadWeights(2), Kind.OTHER),
        (nn.Softmax(1), Kind.OTHER),
        (nn.GLU(), Kind.OTHER),
        (nn.MultiheadAttention(2, 1), Kind.OTHER),
        (nn.LSTM(2, 2), Kind.OTHER),
        (nn.Embedding(2, 2), Kind.OTHER),
        (nn.LocalResponseNorm(2), Kind.OTHER),
        (OwnActivation(), Kind.OTHER),
    ],
)
def test_modules(operation: nn.Module, kind: Kind) -> None:
    assert kind_of(operation) is kind


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("add_", Kind.COMBINATION),
        (operator.iadd, Kind.COMBINATION),
        (operator.truediv, Kind.COMBINATION),
        (torch.where, Kind.COMBINATION),
        (torch.cat, Kind.JOIN),
        (torch.stack, Kind.JOIN),
        (torch.relu, Kind.POINTWISE),
        (functional.dropout, Kind.POINTWISE),
        ("contiguous", Kind.MOVEMENT),
        (functional.pad, Kind.MOVEMENT),
        (torch.permute, Kind.MOVEMENT),
        (functional.max_pool2d, Kind.LOCAL),
        (functional.adaptive_avg_pool2d, Kind.LOCAL),
        (functional.interpolate, Kind.LOCAL),
        ("mean", Kind.REDUCTION),
        (torch.sum, Kind.REDUCTION),
        (operator.getitem, Kind.ITEM),
        (getattr, Kind.ATTRIBUTE),
        (operator.floordiv, Kind.ATTRIBUTE),
        ("size", Kind.ATTRIBUTE),
        (torch.matmul, Kind.OTHER),
        (functional.softmax, Kind.OTHER),
        ("nothing_of_the_kind", Kind.OTHER),
        (relu, Kind.OTHER),  # of a known name, but somebody's own
    ],
)
def test_functions_and_methods(operation: Any, kind: Kind) -> None:
    assert kind_of(operation) is kind
