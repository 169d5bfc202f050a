"""A finished network once more from its weights: its structure follows from the configuration and a few sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import torch
from torch import Tensor, fx, nn

from ..hardware_profiles.errors import ExportError
from .compress import merge, prepare
from .configuration import Configuration
from .network import Network, is_layer, trace

Sizes: TypeAlias = Mapping[str, Mapping[str, int | list[int]]]
"""By module, then by attribute."""
_ATTRIBUTES = (
    *("in_channels", "out_channels", "in_features", "out_features", "groups"),
    *("num_features", "num_channels", "num_parameters", "normalized_shape", "sizes", "n_heads"),
)
"""What `shrink` changes beside tensors: it depends on which channels went, and so on the weights at that time."""


def sizes_of(module: nn.Module) -> dict[str, dict[str, int | list[int]]]:
    """The sizes that modules hold as numbers, as plain data."""
    found: dict[str, dict[str, int | list[int]]] = {}
    for name, each in module.named_modules():
        held = {attribute: getattr(each, attribute) for attribute in _ATTRIBUTES if hasattr(each, attribute)}
        if held:
            found[name] = {key: value if isinstance(value, int) else list(value) for key, value in held.items()}
    return found


def rebuild_finished(
    model: nn.Module,
    example_inputs: Tensor,
    configuration: Configuration,
    state: Mapping[str, Tensor],
    sizes: Sizes,
) -> fx.GraphModule:
    """The float network that `finish` gave, as it was.

    Args:
        model: The uncompressed network with any weights, as the task builds it; not touched.
        example_inputs: Of the original network, shape (n, ...).
        configuration: Its configuration.
        state: Its parameters and buffers.
        sizes: Its `sizes_of`.

    Raises:
        ExportError: The weights do not fit the network.
        SpaceError: The network cannot be traced or compressed so.
    """
    network = _with_any_moments(trace(model, example_inputs[:2]))
    module = merge(prepare(network, configuration), configuration)
    for name, each in module.named_modules():
        known = {attribute: size for attribute, size in sizes.get(name, {}).items() if attribute in _ATTRIBUTES}
        for attribute, size in known.items():
            setattr(each, attribute, size if isinstance(size, int) else type(getattr(each, attribute))(size))
        # Bias correction gives one to layers that had none.
        if is_layer(each) and each.bias is None and f"{name}.bias" in state:
            each.bias = nn.Parameter(torch.zeros(0))
    _make_room(module, state)
    try:
        module.load_state_dict(dict(state))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ExportError(
            f"the weights must be those of the task's network in that configuration, but: {reason}; give the task that "
            "the search had"
        ) from error
    return module


def _make_room(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Gives parameters and buffers the shapes of the state: which channels a layer kept may be others here."""
    for owner_name, owner in module.named_modules():
        held = {**dict(owner.named_parameters(recurse=False)), **dict(owner.named_buffers(recurse=False))}
        for name, value in held.items():
            wanted = state.get(f"{owner_name}.{name}" if owner_name else name)
            if wanted is not None and wanted.shape != value.shape:
                empty = torch.empty(wanted.shape, dtype=value.dtype)
                setattr(owner, name, nn.Parameter(empty) if isinstance(value, nn.Parameter) else empty)


def _with_any_moments(network: Network) -> Network:
    """Ranks that go by the layer's inputs need their moments; which ones, only decides about weights."""
    moments = {
        each.name: torch.eye(each.in_channels, dtype=torch.float64) for each in network.layers if each.kind == "linear"
    }
    return replace(network, input_moments=moments)
