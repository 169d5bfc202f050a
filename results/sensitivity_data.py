"""What each choice alone does to the outputs, as the search estimated or measured it."""

from __future__ import annotations

from dataclasses import dataclass

from ..hardware_profiles.errors import SearchError
from ..search.tables import FILE, read_tables
from .load import ResultsError, Run


@dataclass(frozen=True, slots=True)
class SensitivityData:
    """A row per site.

    Attributes:
        sites: Names, as the space lists them.
        choices: Of each site all but the neutral one, weakest first.
        divergences: As long as `choices`: 0 nothing changed to 1 the outputs no longer depend on the inputs.
    """

    sites: tuple[str, ...]
    choices: tuple[tuple[str, ...], ...]
    divergences: tuple[tuple[float, ...], ...]


def sensitivity_data(run: Run) -> SensitivityData:
    """Reads the table that the search began with; empty where it knew nothing of single choices.

    Raises:
        ResultsError: The table is there and cannot be read.
    """
    path = run.directory / FILE
    if not path.is_file():
        return SensitivityData((), (), ())
    try:
        divergences = read_tables(path).divergences
    except SearchError as error:
        raise ResultsError(f"{path} must be readable, but is damaged: restore it or delete it") from error
    sites = [site for site in run.sites if site.name in divergences]
    return SensitivityData(
        tuple(site.name for site in sites),
        tuple(tuple(str(choice) for choice in site.choices[1:]) for site in sites),
        tuple(tuple(divergences[site.name].get(choice, 0.0) for choice in site.choices[1:]) for site in sites),
    )
