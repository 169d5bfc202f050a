"""A finished network as a `.pare` file: its numbers in as few bits as its weights are stored or executed in.

What is deployed from the file is the same to the last bit as from the network: weights that layers execute as integers
are stored as these integers, parameters of layers in half precision in that type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import StrictInt, TypeAdapter
from torch import Tensor

from ..hardware_profiles.errors import PackingError, ParefrontError
from ..hardware_profiles.export.half_precision import half_dtype
from ..hardware_profiles.export.lowering import lower
from ..hardware_profiles.export.quantized_layers import Int8Convolution, Int8Linear
from ..hardware_profiles.export.weight_only import block_integers
from ..hardware_profiles.precision import PrecisionPlan
from ..packing import CodedWeight, StoredWeight, pack, unpack
from ..spaces import Finished
from ..spaces.encode import Stored
from ..spaces.rebuild import Sizes, sizes_of
from .packed_plan import pack_plan, unpack_plan

SCHEMA = 1
NETWORK = "network"
"""The fact under which everything stands that `read_network` needs."""
LEVELS = torch.arange(-128.0, 128.0)
"""What the indices of executed integers stand for."""
_SIZES = TypeAdapter(dict[str, dict[str, StrictInt | list[StrictInt]]])


@dataclass(frozen=True, slots=True)
class PackedNetwork:
    """What a file holds of a network; `spaces.rebuild` makes the module of it.

    Attributes:
        state: Parameters and buffers of the float module; a weight that executes in integers is what these stand for.
        plan: Where it computes in low precision.
        sizes: See `spaces.rebuild`.
        stored: What is stored of weights in few bits, by layer.
        facts: Whatever else was packed.
    """

    state: Mapping[str, Tensor]
    plan: PrecisionPlan
    sizes: Sizes
    stored: Stored
    facts: Mapping[str, Any]


def pack_network(finished: Finished, facts: Mapping[str, Any] | None = None) -> bytes:
    """The content of a `.pare` file.

    Args:
        finished: The network.
        facts: Whatever else must be known, as JSON has it.

    Raises:
        PackingError: A tensor cannot be packed, or the facts are not JSON.
    """
    tensors: dict[str, Tensor | StoredWeight] = dict(finished.module.state_dict())
    for layer, half in finished.plan.halves.items():
        own = finished.module.get_submodule(layer).named_parameters()
        tensors |= {f"{layer}.{name}": value.detach().to(half_dtype(half)) for name, value in own}
    integers = _executed_integers(finished)
    tensors |= {f"{layer}.weight": coded for layer, coded in {**integers, **finished.stored}.items()}
    plan, scales = pack_plan(finished.plan, tensors)
    network = {
        "schema": SCHEMA,
        "plan": plan,
        "sizes": sizes_of(finished.module),
        "stored": sorted(finished.stored),
        "inputs": {layer: finished.module.get_submodule(layer).in_features for layer in _in_blocks(finished)},
    }
    return pack({**tensors, **scales}, {**(facts or {}), NETWORK: network})


def read_network(data: bytes) -> PackedNetwork:
    """What `pack_network` was given, but for weights that execute in fewer bits than they had.

    Raises:
        PackingError: The file is damaged, or holds no network.
    """
    unpacked = unpack(data)
    facts = dict(unpacked.facts)
    try:
        network = facts.pop(NETWORK)
        if network["schema"] != SCHEMA:
            raise PackingError(
                f"a network in a .pare file must have schema {SCHEMA}, got {network['schema']!r}: read it with the "
                "parefront that wrote it"
            )
        plan, tensors = unpack_plan(network["plan"], unpacked.tensors)
        inputs = {f"{layer}.weight": int(n_inputs) for layer, n_inputs in network["inputs"].items()}
        state = {name: _as_float(value, inputs.get(name)) for name, value in tensors.items()}
        stored = {layer: _coded(tensors[f"{layer}.weight"]) for layer in network["stored"]}
        sizes = _SIZES.validate_python(network["sizes"])
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, ParefrontError) as error:
        if isinstance(error, PackingError):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise PackingError(
            f"a .pare file of a network must say how it is built, but: {reason}; pack it anew"
        ) from error
    return PackedNetwork(state, plan, sizes, stored, facts)


def _executed_integers(finished: Finished) -> dict[str, CodedWeight]:
    """The weights that layers execute as integers, by layer, without those that are stored in other codes."""
    plan, found = finished.plan, {}
    if set(plan.layers).difference(finished.stored):
        # As it is executed: a scale may be wider there than in the plan, for the sake of the bias.
        lowered = lower(finished.module, plan)
        for layer in plan.layers:
            executed = lowered.get_submodule(layer)
            assert isinstance(executed, Int8Convolution | Int8Linear)
            integers = executed.weight.t() if isinstance(executed, Int8Linear) else executed.weight
            found[layer] = _as_coded(integers, executed.scale)
    for layer in _in_blocks(finished):
        quantization = plan.tensors[f"{layer}.weight"]
        weight = finished.module.get_submodule(layer).weight
        assert isinstance(weight, Tensor)
        blocks = block_integers(weight.detach(), quantization).flatten(0, 1)
        found[layer] = _as_coded(blocks, torch.tensor(quantization.scale))
    return found


def _in_blocks(finished: Finished) -> list[str]:
    """The weight-only layers that are not stored in other codes."""
    return [layer for layer in finished.plan.weight_only_layers if layer not in finished.stored]


def _as_coded(integers: Tensor, scale: Tensor) -> CodedWeight:
    return CodedWeight((integers.float() - LEVELS[0]).byte(), LEVELS, scale)


def _as_float(value: Tensor | StoredWeight, n_inputs: int | None) -> Tensor:
    """An entry of the state.

    Args:
        value: As it was stored.
        n_inputs: Of a weight that is stored in blocks, the number of its columns.
    """
    if isinstance(value, Tensor):
        return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
    decoded = value.decode()
    if n_inputs is None:
        return decoded
    block_size = decoded.shape[1]
    n_blocks = -(-n_inputs // block_size)
    return decoded.reshape(-1, n_blocks * block_size)[:, :n_inputs].contiguous()


def _coded(value: Tensor | StoredWeight) -> StoredWeight:
    if isinstance(value, Tensor):
        raise PackingError("a layer's weight must be in the codes that the file names it under: pack it anew")
    return value
