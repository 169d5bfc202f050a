"""A candidate may start from the trained weights of its nearest relative instead of from the uncompressed network's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

import torch
from torch import Tensor, fx
from torch.nn.modules.batchnorm import _BatchNorm

from ..hardware_profiles.errors import SearchError, TrainingError, unknown_name
from ..spaces import Choice, Configuration, Network, SearchSpace, Site
from ..spaces.factorize import is_part_of
from ..spaces.graph import module_of
from ..spaces.kept_entries import kept_entries

MAX_RELATIVES = 64
"""Trained candidates whose weights are kept on disk."""
REMADE_BY = ("fold", "operator", "rank")
"""Techniques that make other layers out of a layer, with weights of their own."""
ROUNDED_BY, ROUNDING_WEIGHT = ("bits", "code"), 0.01
"""Bits decide between relatives of one structure: they change how weights are rounded, not which there are."""
REMOVED_BY = ("prune", "sparsity")
"""Techniques whose choices say how much is removed."""


class Inheritance(StrEnum):
    """What the short fine-tune of a candidate takes over from its nearest relative.

    Attributes:
        NONE: Nothing: every candidate starts from the uncompressed network, so that accuracies follow from the
            configuration alone.
        WEIGHTS: It starts from the relative's trained weights.
        SEGMENT: The same, and only the layers that differ are trained, with the BatchNorms behind them.
    """

    NONE = "none"
    WEIGHTS = "weights"
    SEGMENT = "segment"

    @classmethod
    def parse(cls, name: str) -> Inheritance:
        """One of them by its name.

        Raises:
            SearchError: There is none of that name.
        """
        if name not in (known := [each.value for each in cls]):
            raise SearchError(unknown_name("inheritance", name, known))
        return cls(name)


class Relatives:
    """The trained weights of the latest candidates, on disk, a file each."""

    def __init__(self, folder: Path, n_kept: int = MAX_RELATIVES) -> None:
        """Says where they lie; nothing is read or written yet.

        Args:
            folder: Made when it is needed.
            n_kept: How many at most.
        """
        self._folder, self._n_kept = folder, n_kept

    def eligible(self, ended: Sequence[Configuration]) -> tuple[Configuration, ...]:
        """The candidates to start from: the latest of those whose trials ended, as far as their weights are here.

        It follows from the record alone, so that a search that is resumed finds the same ones: a file of a trial that
        was killed before it was recorded does not count.

        Args:
            ended: Configurations of ended trials, in that order.
        """
        latest = tuple(dict.fromkeys(reversed(ended)))[: self._n_kept]
        return tuple(each for each in reversed(latest) if self._path(each).is_file())

    def keep(self, configuration: Configuration, state: Mapping[str, Tensor], ended: Sequence[Configuration]) -> None:
        """Writes a candidate's weights after its training, and removes those that are not eligible any more."""
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._path(configuration).with_suffix(".partial")
        torch.save(dict(state), partial)
        partial.replace(self._path(configuration))
        needed = {self._path(each) for each in (*self.eligible(ended), configuration)}
        for path in set(self._folder.glob("*.pt")) - needed:
            path.unlink()

    def load(self, configuration: Configuration) -> Mapping[str, Tensor]:
        """The weights of a candidate.

        Raises:
            TrainingError: The file is damaged.
        """
        path = self._path(configuration)
        try:
            state: Mapping[str, Tensor] = torch.load(path, weights_only=True)
        except Exception as error:  # torch.load raises errors of many classes
            raise TrainingError(
                f"a candidate's weights must be as they were written, got {path} ({type(error).__name__}): remove it"
            ) from error
        return state

    def _path(self, configuration: Configuration) -> Path:
        return self._folder / f"{configuration.key}.pt"


def distance(space: SearchSpace, a: Configuration, b: Configuration) -> float:
    """How much two configurations differ: what they share needs no new training.

    A width counts by its place between the widest and the narrowest choice; a fold or a rank counts 1, bits a
    hundredth.
    """
    return sum(_step(site, a.get(site.name, site.neutral), b.get(site.name, site.neutral)) for site in space.sites)


def nearest(
    space: SearchSpace, configuration: Configuration, candidates: Sequence[Configuration]
) -> Configuration | None:
    """The candidate to start from, the latest of equals; None where the uncompressed network is no farther."""
    best, least = None, distance(space, configuration, Configuration())
    for candidate in reversed(candidates):
        found = distance(space, configuration, candidate)
        if found < least:
            best, least = candidate, found
    return best


def inherit(
    module: fx.GraphModule,
    network: Network,
    space: SearchSpace,
    configuration: Configuration,
    parent: Configuration,
    state: Mapping[str, Tensor],
) -> float:
    """Gives a prepared candidate, in place, the trained value of every entry that its parent has too.

    Entries are the same where they stem from one entry of one tensor: of channels that only the candidate kept, and of
    layers that one of the two folds or factorises otherwise, the values stay what `prepare` made them.

    Args:
        module: `prepare(network, configuration)`.
        network: The traced network.
        space: Its space.
        configuration: Of the candidate.
        parent: Of the parent.
        state: The parent's parameters and buffers after its training.

    Returns:
        The share of the candidate's entries that it inherited.
    """
    excluded = _with_norms(module, _remade_layers(space, configuration, parent))
    of_parent, of_child = kept_entries(network, parent), kept_entries(network, configuration)
    n_inherited = 0
    for name, own in module.state_dict().items():
        trained, there = state.get(name), of_parent.get(name)
        if trained is None or there is None or trained.shape != there.shape:
            continue
        if not any(is_part_of(name.rpartition(".")[0], layer) for layer in excluded):
            n_inherited += _copy(own, of_child[name], trained, there)
    return n_inherited / sum(positions.numel() for positions in of_child.values())


def _step(site: Site, a: Choice, b: Choice) -> float:
    if a == b:
        return 0.0
    if site.technique in ROUNDED_BY:
        return ROUNDING_WEIGHT
    if site.technique in REMOVED_BY:
        return abs(site.choices.index(a) - site.choices.index(b)) / (len(site.choices) - 1)
    return 1.0


def _remade_layers(space: SearchSpace, a: Configuration, b: Configuration) -> set[str]:
    """The original layers that one of two configurations folds, or that they take apart differently."""
    found: set[str] = set()
    for site in space.sites:
        choices = a.get(site.name, site.neutral), b.get(site.name, site.neutral)
        are_same_parts = site.technique in ("operator", "rank") and choices[0] == choices[1]
        if site.technique in REMADE_BY and not are_same_parts:
            found.update(*(site.touched(choice) for choice in choices))
    return found


def _with_norms(module: fx.GraphModule, layers: set[str]) -> set[str]:
    """Those layers and the normalisations of their outputs, whose statistics belong to the weights before them."""
    norms = {
        str(node.target)
        for node in module.graph.nodes
        if isinstance(module_of(module, node), _BatchNorm)
        and any(is_part_of(str(source.target), layer) for source in node.all_input_nodes for layer in layers)
    }
    return layers | norms


def _copy(own: Tensor, positions: Tensor, trained: Tensor, there: Tensor) -> int:
    """Copies the entries whose positions are in both, in place; gives their number."""
    size = 1 + int(max(positions.max(), there.max()))
    value_at, is_known = own.new_zeros(size), torch.zeros(size, dtype=torch.bool)
    value_at[there.flatten()], is_known[there.flatten()] = trained.flatten(), True
    shared = is_known[positions]
    own.copy_(torch.where(shared, value_at[positions], own))
    return int(shared.sum())
