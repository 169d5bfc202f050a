"""What a network takes: the same rules for every runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MeasurementError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .runtime import Inputs


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of a network.

    Attributes:
        name: What the artefact calls it.
        shape: Its sizes, None where one is free (the batch).
        dtype: The type of its elements.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


def zero_inputs(specs: Sequence[InputSpec], batch_size: int) -> tuple[NDArray[Any], ...]:
    """Inputs of zeros in the types and shapes that a network takes.

    Raises:
        MeasurementError: More than the batch is free.
    """
    for spec in specs:
        if None in spec.shape[1:]:
            raise MeasurementError(
                f"only the batch may be free in a network's input, got {list(spec.shape)} for {spec.name!r}: "
                "export it so"
            )
    return tuple(np.zeros([batch_size if size is None else size for size in spec.shape], spec.dtype) for spec in specs)


def as_arrays(specs: Sequence[InputSpec], inputs: Inputs) -> tuple[NDArray[Any], ...]:
    """One array for each input of a network.

    Raises:
        MeasurementError: There are fewer or more.
    """
    arrays = inputs if isinstance(inputs, tuple) else (inputs,)
    if len(arrays) != len(specs):
        names = ", ".join(spec.name for spec in specs)
        raise MeasurementError(
            f"a network must be given each of its {len(specs)} inputs ({names}), got {len(arrays)}: "
            "give one array for each"
        )
    return arrays


def check_repeats(repeats: int) -> None:
    """Checks the number of repeats of a profile.

    Raises:
        MeasurementError: It is below 1.
    """
    if repeats < 1:
        raise MeasurementError(f"repeats must be at least 1, got {repeats}: use for instance 10")
