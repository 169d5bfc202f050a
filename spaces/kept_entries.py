"""Which entries of its tensors a pruned network kept: what makes the weights of two candidates comparable."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, fx, nn

from .compress import prepare
from .configuration import Configuration
from .network import Network
from .prune import Prune, prune_groups


def kept_entries(network: Network, configuration: Configuration) -> Mapping[str, Tensor]:
    """Where the entries of a prepared network's parameters and buffers stood before channels were removed.

    Args:
        network: The traced network; not touched.
        configuration: Canonical.

    Returns:
        By name in the state of `prepare(network, configuration)`: tensors of the same shapes that hold flat positions
        in the tensor of that name when all but the pruning is done.
    """
    prefix = f"{Prune().name}/"
    widths = {name.removeprefix(prefix): choice for name, choice in configuration.items() if name.startswith(prefix)}
    others = Configuration.of({name: choice for name, choice in configuration.items() if not name.startswith(prefix)})
    module = prepare(network, others)
    marked = copy.deepcopy(module)
    _number_entries(marked)
    prune_groups(module, widths, network, likewise=[marked])
    return {name: value.long() for name, value in marked.state_dict().items()}


def _number_entries(module: fx.GraphModule) -> None:
    """Replaces each value by its position; float64 holds positions exactly up to 2^53."""
    for owner in module.modules():
        for name, parameter in owner.named_parameters(recurse=False):
            setattr(owner, name, nn.Parameter(_positions(parameter), requires_grad=False))
        for name, buffer in owner.named_buffers(recurse=False):
            setattr(owner, name, _positions(buffer))


def _positions(value: Tensor) -> Tensor:
    return torch.arange(value.numel(), dtype=torch.float64).reshape(value.shape)
