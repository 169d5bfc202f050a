"""What is asked of the workers of a search, and what each of them is told to open."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..evaluators import Inheritance, Workbench
from ..hardware_profiles import HardwareProfile, wait_while_measured
from ..hardware_profiles.errors import SearchError
from ..hardware_profiles.measuring.cores import available_cores
from ..hardware_profiles.transport.transport import OpenTransport, as_profiled
from ..spaces import CompressionOptions
from ..tasks import load_task
from .baseline import remember

LOCAL = "local"
"""The address of a Ray of our own, which ends with the search."""


@dataclass(frozen=True, slots=True)
class Workers:
    """What is asked of the workers.

    Attributes:
        task_name: What `load_task` takes: a task holds functions, which may not travel, so each worker loads it.
        n_workers: Trials that run at the same time.
        address: `local`; `auto` for the cluster that this machine belongs to; or `host:port`.
        max_job_s: What one stage of one trial may take, in s; None for no limit.
        n_threads: Of each worker's training; its request for cores.
        n_gpus: GPUs of each, or the part of one.
        memory_bytes: Main memory of each; None where only the machine's own limit counts.
    """

    task_name: str
    n_workers: int
    address: str = LOCAL
    max_job_s: float | None = None
    n_threads: int = 1
    n_gpus: float = 0.0
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        for name in ("n_workers", "n_threads"):
            if getattr(self, name) < 1:
                raise SearchError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if self.max_job_s is not None and self.max_job_s <= 0:
            raise SearchError(f"the time limit of a trial must be more than 0 s, got {self.max_job_s:g} s")


@dataclass(frozen=True, slots=True)
class BenchOrder:
    """A workbench to open in another process that has the run's directory; a value that can travel.

    Attributes:
        task_name: See `Workers`.
        profiles: Hardware profiles, the main one first.
        artefacts: The run's directory of files, with the baseline's results in it.
        seed: Of all training.
        options: How the techniques work.
        inheritance: What short fine-tunes take over from other trials.
        working_directory: What relative paths of a task refer to.
        n_threads: For accuracy in the runtimes; as many as training has.
        open_transport: The way to where a profile is measured.
        task_key: Of the search's own workbench, where another machine might find another network or other data.
    """

    task_name: str
    profiles: tuple[HardwareProfile, ...]
    artefacts: Path
    seed: int
    options: CompressionOptions
    inheritance: Inheritance
    working_directory: Path
    n_threads: int = 1
    open_transport: OpenTransport = as_profiled
    task_key: str | None = None

    def __call__(self) -> Workbench:
        """Opens it, with the baseline's accuracy and times as the run has them.

        Raises:
            ParefrontError: The task or the baseline's results cannot be loaded here, or a device is missing.
        """
        os.chdir(self.working_directory)
        main, *others = self.profiles
        workbench = Workbench(
            load_task(self.task_name),
            main,
            self.artefacts,
            seed=self.seed,
            options=self.options,
            progress=pause_while_measured(self.profiles),
            inheritance=self.inheritance,
            others=others,
            n_threads=self.n_threads,
            open_transport=self.open_transport,
        )
        try:
            if self.task_key not in (None, workbench.key()):
                raise SearchError(
                    f"all workers must have the search's network and data, but those of {self.task_name} on "
                    f"{socket.gethostname()} are others: put the same files and versions on all machines"
                )
            remember(workbench, self.artefacts, is_exported=True)
        except BaseException:
            workbench.close()
            raise
        return workbench


def pause_while_measured(profiles: tuple[HardwareProfile, ...]) -> Callable[[str, int, int], None]:
    """A `Progress` that waits, between two steps of training, while a worker beside this one measures.

    The lease keeps two measurements apart, and real-time priority keeps training off the measured cores; this keeps the
    caches and the memory that all cores share quiet too.

    Args:
        profiles: What is measured on; devices elsewhere disturb nobody here.
    """
    n_cores = max((each.runtime.threads for each in profiles if each.host.is_local), default=0)
    cores = available_cores()[:n_cores]

    def wait(what: str, step: int, total: int) -> None:
        wait_while_measured(cores)

    return wait


def threads_per_worker(n_workers: int) -> int:
    """Threads of each worker where this machine's cores are shared out evenly."""
    return max(1, len(available_cores()) // n_workers)
