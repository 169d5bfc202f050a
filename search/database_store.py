"""A study in a database that may go away: no trial is lost by that, and none written twice."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from optuna.trial import FrozenTrial

from ..hardware_profiles.errors import SearchError
from .database import DatabaseLostError
from .study_form import Direction, StudyForm, trial_of
from .trial import Trial
from .unsent import Unsent

WAITS_S = (0.5, 2.0)
"""Before each new attempt when the database is lost, in s; after them the search goes on without it."""
LAST_WAITS_S = (1.0, 5.0, 15.0)
"""Before each new attempt when the search has ended, in s."""

_log = logging.getLogger(__name__)


class StudyTable(Protocol):
    """What is asked of a `Database`."""

    shown: str

    def begin(self, directions: Sequence[Direction]) -> None:
        """Makes it."""
        ...

    def trials(self) -> Sequence[FrozenTrial]:
        """What it holds."""
        ...

    def add(self, trial: FrozenTrial) -> None:
        """Writes one trial."""
        ...

    def close(self) -> None:
        """Ends the connection."""
        ...


class DatabaseStore:
    """See `TrialStore`. Every trial is in a local file first; it leaves that when the database has it."""

    def __init__(
        self,
        database: StudyTable,
        unsent: Unsent,
        *,
        is_new: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Does not connect yet.

        Args:
            database: The study.
            unsent: Trials on their way.
            is_new: Whether the study is still to be made.
            sleep: Waits so many seconds.
        """
        self._database, self._unsent, self._is_new, self._sleep = database, unsent, is_new, sleep
        self._is_lost = False

    def open(self, form: StudyForm) -> list[Trial]:
        """See `TrialStore`; what an earlier process could not send is sent now.

        Raises:
            DatabaseLostError: The database cannot be reached, or another driver owns the study.
            SearchError: The study is not the one that this run left.
        """
        self._form = form
        if self._is_new:
            self._database.begin(form.directions)
        if self._unsent.trials:
            self._send_all()
        return [trial_of(frozen) for frozen in self._database.trials()]

    def add(self, trial: Trial) -> None:
        """See `TrialStore`.

        Raises:
            SearchError: Another driver wrote the study.
            OSError: The local disk is full.
        """
        self._unsent.append(trial)
        # While it is known to be lost, one attempt per trial: the search must not stand still.
        self._send(() if self._is_lost else WAITS_S)

    def close(self) -> None:
        """See `TrialStore`."""
        try:
            if self._unsent.trials:
                self._send(LAST_WAITS_S)
        finally:
            self._database.close()

    def _send(self, waits_s: Sequence[float]) -> None:
        for wait_s in (*waits_s, None):
            try:
                n_waiting = len(self._unsent.trials)
                self._send_all()
            except DatabaseLostError as error:
                if wait_s is not None:
                    facts = {"event": "database lost", "reason": str(error)}
                    _log.warning("%s; trying again in %g s", error, wait_s, extra=facts)
                    self._sleep(wait_s)
                    continue
                self._is_lost = True
                _log.warning(
                    "%s; trials that wait on the local disk: %d. They are written when it is back, or when the same "
                    "command is started again",
                    error,
                    n_waiting,
                    extra={"event": "database lost", "reason": str(error)},
                )
            else:
                if self._is_lost:
                    facts = {"event": "database back"}
                    _log.warning("the database is back; trials written now: %d", n_waiting, extra=facts)
                self._is_lost = False
            return

    def _send_all(self) -> None:
        """Writes what is not there yet; an answer that was lost may have left a trial that is."""
        stored = self._database.trials()
        n_stored = len(stored)
        for trial in self._unsent.trials:
            if trial.number < n_stored and _is_same(trial_of(stored[trial.number]), trial):
                continue
            if trial.number != n_stored:
                raise SearchError(
                    f"a run's study is written by its own search only, but trial {trial.number} is not what "
                    f"{self._database.shown} holds or lacks ({n_stored} trials): choose another --out"
                )
            self._database.add(self._form.frozen(trial))
            n_stored += 1
        self._unsent.clear()


def _is_same(one: Trial, other: Trial) -> bool:
    # As they are kept: JSON makes lists of tuples.
    first, second = (json.dumps(trial.to_json(), sort_keys=True) for trial in (one, other))
    return first == second
