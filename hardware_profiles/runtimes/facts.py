"""What is known of a runtime without importing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Bits: TypeAlias = int | str
"""How a layer's weight and arithmetic are held: 32 and 8 (integers), or "bf16" and "fp16" by name, as both have 16."""

BITS: tuple[Bits, ...] = (32, "bf16", "fp16", 8)
"""Every precision that a runtime may execute, the neutral one first."""

WEIGHT_ONLY_BITS = (8, 4)
"""Every width in which a linear layer's weight alone may be stored."""


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """One line of the registry of runtimes.

    Attributes:
        name: What a profile calls it.
        module: The module here that holds it; imported only when the runtime is asked for.
        class_name: The class in that module.
        device: Where it computes.
        suffix: How the names of its artefacts end.
        weight_bits: The precisions it executes at all, a subset of `BITS` in that order; the hardware may have fewer.
        weight_only_bits: Widths of weights that it reads into float layers, a subset of `WEIGHT_ONLY_BITS`.
        requirement: What `pip install` needs to be told where the runtime is missing.
        executes_sparse: Whether linear layers may execute the weights alone that are not zero.
        is_slow_to_open: Whether loading an artefact takes many seconds, as it is compiled then.
    """

    name: str
    module: str
    class_name: str
    device: Literal["cpu", "cuda"]
    suffix: Literal[".onnx", ".pt2"]
    weight_bits: tuple[Bits, ...]
    weight_only_bits: tuple[int, ...]
    requirement: str
    executes_sparse: bool = False
    is_slow_to_open: bool = False
