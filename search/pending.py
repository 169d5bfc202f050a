"""Proposals that are under way, kept in a file: a search that is killed evaluates them first when it goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ..hardware_profiles.errors import SearchError
from .first_proposals import FirstProposals
from .proposal import Proposal, Proposer
from .trial import Trial

_SCHEMA = 1


class PendingProposals:
    """Another proposer, whose proposals are in a file from when they are made to when their trial is recorded."""

    def __init__(self, path: Path, proposer: Proposer) -> None:
        """Begins with what the file holds; what ended in the meantime drops out as it is told.

        Args:
            path: The file; made when something is proposed.
            proposer: Asked for what comes after that.

        Raises:
            SearchError: The file is not what this class wrote.
        """
        self._path = path
        left = _read(path)
        # Kept as they are written: with a thousand under way, to write them anew for every trial would take too long.
        self._pending = {proposal.configuration: json.dumps(proposal.to_json()) for proposal in left}
        self._proposer = FirstProposals(left, proposer)

    def ask(self, n: int) -> list[Proposal]:
        """See `Proposer`."""
        found = self._proposer.ask(n)
        if found:
            self._pending |= {proposal.configuration: json.dumps(proposal.to_json()) for proposal in found}
            self._write()
        return found

    def tell(self, trial: Trial) -> None:
        """See `Proposer`; the trial is in the record already, so nothing is lost between the two."""
        self._proposer.tell(trial)
        if self._pending.pop(trial.configuration, None) is not None:
            self._write()

    def _write(self) -> None:
        """Writes the file whole or not at all."""
        lines = ",\n".join(self._pending.values())
        partial = self._path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(f'{{"schema": {_SCHEMA}, "pending": [\n{lines}\n]}}\n')
        partial.replace(self._path)


def _read(path: Path) -> list[Proposal]:
    if not path.is_file():
        return []
    try:
        content = json.loads(path.read_text())
        if content["schema"] != _SCHEMA:
            raise ValueError(f"schema {content['schema']!r}")
        return [Proposal.from_json(facts) for facts in content["pending"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SearchError(
            f"{path} must list the proposals that were under way, but cannot be read ({error}): remove it, and the "
            "search goes on with new ones"
        ) from error
