"""What one worker of a search takes of the machine it runs on."""

from __future__ import annotations

from dataclasses import dataclass

from ..hardware_profiles.errors import TaskError


@dataclass(frozen=True, slots=True)
class Resources:
    """What evaluating one candidate takes; what is not said is what most networks take.

    Attributes:
        cpus: Cores, and threads of training; None where the machine's are shared out evenly among its workers.
        gpus: GPUs, or the part of one; workers that share one see the same.
        memory_bytes: Main memory; a worker that takes more is ended. None where only the machine's own limit counts.
    """

    cpus: int | None = None
    gpus: float = 0.0
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.cpus is not None and (self.cpus < 1 or self.cpus != int(self.cpus)):
            raise TaskError(
                f"resources.cpus must be a whole number of 1 or more, got {self.cpus:g}: leave it out to "
                "share the cores out evenly"
            )
        if self.gpus < 0 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            raise TaskError(
                f"resources.gpus must be a part of one GPU or a whole number, got {self.gpus:g}: correct it"
            )
        if self.memory_bytes is not None and self.memory_bytes <= 0:
            raise TaskError(
                f"resources.memory_bytes must be above 0, got {self.memory_bytes:g}: leave it out for no limit"
            )


EVENLY = Resources()
"""The cores shared out evenly, no GPU, memory as there is."""
