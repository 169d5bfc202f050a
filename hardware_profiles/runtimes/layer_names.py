"""Finds the layer that an operator of an optimised graph belongs to."""

from __future__ import annotations

from collections.abc import Collection


def layer_of(operator_name: str, layers: Collection[str]) -> str | None:
    """Finds the layer an operator belongs to by its name.

    When a runtime fuses operators or changes a layout it extends their names (`conv1_nchwc`, `conv1/output_token_3`,
    `conv1/WithoutBiases`), so the layer is the longest known name that is the operator's name, or its beginning up to
    a '/' or a '_'.
    """
    matches = (name for name in layers if operator_name == name or operator_name.startswith((f"{name}/", f"{name}_")))
    return max(matches, key=len, default=None)
