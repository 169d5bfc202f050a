"""One configuration layer by layer and technique by technique."""

from __future__ import annotations

from dataclasses import dataclass

from ..search.trial import Trial
from .layer_decisions import DecisionCell, decide_layer, sites_by_layer, word_layer
from .load import Run


@dataclass(frozen=True, slots=True)
class LayersData:
    """What a configuration does to a network.

    Attributes:
        number: Of the trial.
        techniques: Columns.
        layers: Rows, in the order of the network.
        facts: What is known of each layer beside its name.
        cells: Per layer, per technique; None where the technique has no site there.
    """

    number: int
    techniques: tuple[str, ...]
    layers: tuple[str, ...]
    facts: tuple[str, ...]
    cells: tuple[tuple[DecisionCell | None, ...], ...]


def layers_data(run: Run, trial: Trial) -> LayersData:
    """Lays out the decisions of one trial, whatever became of it."""
    layers = run.manifest.get("layers", ())
    names = tuple(str(layer["name"]) for layer in layers)
    techniques = tuple(dict.fromkeys(site.technique for site in run.sites))
    by_layer = sites_by_layer(names, run.sites)

    def cell(name: str, technique: str) -> DecisionCell | None:
        sites = [site for site in by_layer[name] if site.technique == technique]
        return decide_layer(name, sites, trial.configuration) if sites else None

    cells = tuple(tuple(cell(name, technique) for technique in techniques) for name in names)
    return LayersData(trial.number, techniques, names, tuple(word_layer(layer) for layer in layers), cells)
