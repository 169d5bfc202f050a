"""The search: what is proposed, evaluated and recorded."""

from .front import best_within, front, front_hypervolume, reported_fidelity
from .journal import read_trials
from .run_directory import RunDirectory
from .trial import Fidelity, State, Trial

__all__ = [
    "Fidelity",
    "RunDirectory",
    "State",
    "Trial",
    "best_within",
    "front",
    "front_hypervolume",
    "read_trials",
    "reported_fidelity",
]
