"""Which layers of a network a decision about an original layer is for: that layer, or its factors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from torch import nn

from ..hardware_profiles.errors import TrainingError, unknown_name
from ..spaces.factorize import is_part_of
from ..spaces.graph import is_layer

T = TypeVar("T")


def decided_layers(module: nn.Module, decisions: Mapping[str, T]) -> dict[str, T]:
    """By name of a layer what is decided for it, in the order in which layers are registered.

    Args:
        module: A network, traced or not.
        decisions: By original layer; the factors of a layer have its decision.
    """
    return {
        name: decision
        for name, each in module.named_modules()
        if is_layer(each)
        for decided, decision in decisions.items()
        if is_part_of(name, decided)
    }


def check_decided(module: nn.Module, decisions: Mapping[str, object], *, has_configuration: bool) -> None:
    """Makes sure that every decision is for a layer.

    Args:
        module: The network.
        decisions: By original layer.
        has_configuration: Whether it was prepared with a configuration, whose folds take layers away.

    Raises:
        TrainingError: One is not.
    """
    if has_configuration:
        return
    layers = [name for name, each in module.named_modules() if is_layer(each)]
    for decided in decisions:
        if not any(is_part_of(name, decided) for name in layers):
            raise TrainingError(unknown_name("layer", decided, layers))
