"""Where the few entries lie that are not skipped: as the distances between them, in a few bits each.

Source: Han, Mao and Dally 2016, "Deep Compression" (arXiv:1510.00149), section 2. Theirs pads with a zero entry where a
distance does not fit; here the highest number means "go on, nothing here", so that padding costs no value.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..hardware_profiles.errors import PackingError

GAP_BITS = range(2, 9)


def to_gaps(positions: NDArray[np.int64], bits: int) -> NDArray[np.uint8]:
    """Positions as numbers below `2 ** bits`.

    A number below the highest, `2 ** bits - 1`, is how many positions are skipped before the next one that is kept; the
    highest says that as many positions as it says are skipped, and none is kept yet.

    Args:
        positions: Shape (n,), rising, from 0 on.
        bits: One of `GAP_BITS`.
    """
    highest = (1 << bits) - 1
    skipped = np.diff(positions, prepend=-1) - 1
    n_fillers, last = np.divmod(skipped, highest)
    numbers = np.full(len(positions) + int(n_fillers.sum()), highest, np.uint8)
    numbers[np.cumsum(n_fillers + 1) - 1] = last
    return numbers


def from_gaps(numbers: NDArray[np.uint8], bits: int) -> NDArray[np.int64]:
    """The inverse of `to_gaps`.

    Args:
        numbers: Shape (m,), below `2 ** bits`.
        bits: One of `GAP_BITS`.

    Returns:
        Positions, shape (n,), rising.

    Raises:
        PackingError: A number has more bits.
    """
    highest = (1 << bits) - 1
    if len(numbers) and int(numbers.max()) > highest:
        raise PackingError(
            f"gaps of {bits} bits must be up to {highest}, got {int(numbers.max())}: the file is damaged"
        )
    # A filler goes on by `highest`, any other number by itself and the entry that it leads to.
    is_kept = numbers != highest
    steps = numbers.astype(np.int64)
    steps += is_kept
    positions: NDArray[np.int64] = np.cumsum(steps, out=steps)[is_kept] - 1
    return positions


def check_positions(positions: NDArray[np.int64], n_kept: int, n_entries: int) -> None:
    """Refuses positions that do not fit an array.

    Raises:
        PackingError: They are more or fewer, or one lies outside.
    """
    if len(positions) != n_kept or (n_kept and int(positions[-1]) >= n_entries):
        last = int(positions[-1]) if len(positions) else None
        raise PackingError(
            f"gaps must lead to {n_kept} of {n_entries} entries, got {len(positions)}, the last at {last}: the file is "
            "damaged"
        )
