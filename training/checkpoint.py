"""Where a training stands, on disk, so that a killed one goes on from there."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import torch

from ..hardware_profiles.errors import TrainingError

EVERY_S = 60.0
"""Wall time between two checkpoints, in s."""


class Checkpoint:
    """One file that holds the state of one training; it is gone when the training has ended."""

    def __init__(self, path: Path, key: str, every_s: float = EVERY_S) -> None:
        """Describes the file; nothing is read or written yet.

        Args:
            path: The file.
            key: What the training depends on: a file with another key is ignored, and overwritten.
            every_s: Wall time between two checkpoints, in s.
        """
        self._path, self._key, self._every_s = path, key, every_s
        self._last = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """Reads the state, None where there is none of this training.

        Raises:
            TrainingError: The file is damaged.
        """
        try:
            state: dict[str, Any] = torch.load(self._path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            return None
        except Exception as error:  # torch.load raises errors of many classes
            raise TrainingError(
                f"a checkpoint must be as this program wrote it, got {self._path} ({type(error).__name__}): remove it"
            ) from error
        return state if state.get("key") == self._key else None

    def is_due(self) -> bool:
        """Whether it is time for the next one."""
        return time.monotonic() - self._last >= self._every_s

    def save(self, state: dict[str, Any]) -> None:
        """Replaces the file at once, so that a kill leaves the old one or the new one."""
        partial = self._path.with_name(f".{self._path.name}.{os.getpid()}.partial")
        torch.save({**state, "key": self._key}, partial)
        partial.replace(self._path)
        self._last = time.monotonic()

    def remove(self) -> None:
        """After the training has ended."""
        self._path.unlink(missing_ok=True)
