"""Where all that a run is made of is kept while it is searched: its trials, copies of its files, its log."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..hardware_profiles.errors import ParefrontError
from .artefact_copies import VARIABLE, ArtefactCopies
from .full_disk import told_if_full
from .logged_executor import log_trial
from .record import TrialStore
from .run_directory import RunDirectory
from .run_log import written_log
from .storage import FACT, opened_storage
from .trial import Trial

ARTEFACTS_FACT = "artefacts"
"""In the manifest: the place of the copies; absent or None where there are none."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a person asks.

    Attributes:
        storage: Address of a PostgreSQL database for the trials; None for the run's journal file, or goes on as before.
        artefacts: Directory or address for copies of the files; None for none, or goes on as before.
    """

    storage: str | None = None
    artefacts: str | None = None


IN_THE_DIRECTORY = Keeping()


@dataclass(frozen=True, slots=True)
class Keeper:
    """What a search writes to.

    Attributes:
        store: Takes trials.
        copies: Takes their files; None where only the run directory has them.
        facts: For the manifest.
    """

    store: TrialStore
    copies: ArtefactCopies | None
    facts: Mapping[str, Any]

    def go_on(self, trials: Sequence[Trial]) -> None:
        """Brings up to date what an earlier process of the run could not.

        Args:
            trials: What it recorded.
        """
        if self.copies is not None and trials:
            self.copies.add_missing(trials)

    def named(self, trial: Trial) -> Trial:
        """A trial as it is to be recorded."""
        return trial if self.copies is None else self.copies.named(trial)

    def note(self, trial: Trial) -> None:
        """Takes what belongs to a recorded trial."""
        log_trial(trial)
        if self.copies is not None:
            self.copies.add(trial)


@contextmanager
def opened(directory: RunDirectory, task: str, keeping: Keeping) -> Iterator[Keeper]:
    """Opens all of it, before anything else is done; what could not be sent is tried again at the end.

    Args:
        directory: Of the run; the caller owns it.
        task: Its name.
        keeping: What is asked.

    Raises:
        SearchError: A place cannot be reached, or the disk is full.
    """
    manifest = directory.read_manifest() or {}
    with (
        told_if_full(directory.root),
        written_log(directory.log),
        _told(directory),
        opened_storage(directory, task, keeping.storage) as storage,
    ):
        place = keeping.artefacts or _recorded(manifest)
        copies = None if place is None else ArtefactCopies(place, directory.artefacts)
        facts = {FACT: storage.facts, ARTEFACTS_FACT: None if copies is None else copies.shown}
        try:
            yield Keeper(storage.store, copies, facts)
        finally:
            if copies is not None:
                copies.send()


def _recorded(manifest: Mapping[str, Any]) -> str | None:
    recorded: str | None = manifest.get(ARTEFACTS_FACT)
    return recorded and (os.environ.get(VARIABLE) or recorded)


@contextmanager
def _told(directory: RunDirectory) -> Iterator[None]:
    """The first and the last entry of the log."""
    _log.debug("the search of %s begins", directory.root, extra={"event": "search began"})
    try:
        yield
    except BaseException as error:
        why = str(error) if isinstance(error, ParefrontError) else type(error).__name__
        _log.debug("the search stops: %s", why, extra={"event": "search stopped", "reason": why})
        raise
    _log.debug("the search has ended", extra={"event": "search ended"})
