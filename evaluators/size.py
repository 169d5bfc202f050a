"""Size: the bytes of the files that the runtime loads, and those of a packed file that is kept or sent."""

from __future__ import annotations

from pathlib import Path

from ..hardware_profiles.runtimes.runtime import external_data
from ..spaces import Finished
from .evaluator import Score
from .packed_facts import PackedFacts
from .packed_network import pack_network


def size_score(artefact: Path) -> Score:
    """Size of an artefact on disk, everything in it counted, and the weights that lie beside a very large one."""
    beside = external_data(artefact)
    size = artefact.stat().st_size + (beside.stat().st_size if beside.exists() else 0)
    return Score("size_bytes", float(size), "bytes", is_higher_better=False)


def stored_score(finished: Finished, facts: PackedFacts) -> Score:
    """Size of a network as a `.pare` file, everything in it counted."""
    return Score("stored_bytes", float(len(pack_network(finished, facts.to_json()))), "bytes", is_higher_better=False)
