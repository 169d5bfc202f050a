"""The exported files of one run: written for the profile's runtime, and run here for accuracy."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ..hardware_profiles.errors import ExportError, ProfileError
from ..hardware_profiles.measuring.cores import available_cores
from ..hardware_profiles.profile import HardwareProfile
from ..hardware_profiles.runtimes import Runtime, Session, check_runtime, get_runtime, runtime_facts
from ..spaces import Finished

_ANYWHERE = "onnxruntime"
"""Runs the same files where the profile's runtime cannot: on a search machine without the device's GPU."""


class Artefacts:
    """Writes finished networks as files and opens them."""

    def __init__(
        self, folder: Path, profile: HardwareProfile, *, is_here: bool = True, n_threads: int | None = None
    ) -> None:
        """Makes the folder where it is missing.

        Args:
            folder: Where the files lie.
            profile: Whose runtime loads them.
            is_here: Whether the profile's device is of this machine: what it takes to run there may be missing else.
            n_threads: What `open` loads files for; all cores of this process where it is None.

        Raises:
            ProfileError: The profile's runtime is not installed.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._n_threads = n_threads or len(available_cores())
        self._facts = runtime_facts(profile.runtime.name)
        self._writer = get_runtime(profile.runtime.name)
        self._reader = self._writer if is_here else _reader_here(profile.runtime.name)

    def path(self, name: str) -> Path:
        """The file of that name, with the suffix of what the profile's runtime loads."""
        return self._folder / f"{name}{self._facts.suffix}"

    def export(self, finished: Finished, example_inputs: tuple[Tensor, ...], path: Path) -> None:
        """Writes a network.

        Args:
            finished: What `finish` gave.
            example_inputs: Of the original network, shape (n, ...).
            path: The file, see `path`.

        Raises:
            ExportError: It cannot be written.
        """
        # Two samples: with one, an exporter may take the batch for a constant.
        inputs = tuple(each[:2] for each in example_inputs)
        try:
            self._writer.export(finished.module, inputs, finished.plan, path)
        except ExportError:
            raise
        except Exception as error:
            raise ExportError(f"the network could not be exported: {type(error).__name__}: {error}") from error

    def open(self, path: Path) -> Session:
        """Loads a file for accuracy, on this process's threads: only the time it takes depends on the profile's."""
        return self._reader.open_session(path, self._n_threads)


def _reader_here(name: str) -> Runtime:
    try:
        check_runtime(name)
    except ProfileError:
        return get_runtime(_ANYWHERE)
    return get_runtime(name)
