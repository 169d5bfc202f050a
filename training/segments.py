"""After a local change only the changed layers need training, and the BatchNorms whose inputs the change moves."""

from __future__ import annotations

from collections.abc import Collection, Set

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..hardware_profiles.errors import TrainingError
from ..spaces import Configuration, SearchSpace
from ..spaces.factorize import is_part_of
from .hooks import Hook, Run


def changed_layers(
    space: SearchSpace, configuration: Configuration, before: Configuration | None = None
) -> frozenset[str]:
    """The layers of the original network whose weights two configurations make differ.

    A width changes the layers that make the channels and those that read them.

    Args:
        space: Of the network.
        configuration: Canonical.
        before: What it is compared with, canonical; the uncompressed network where it is None.
    """
    found: set[str] = set()
    for site in space.sites:
        new = configuration.get(site.name, site.neutral)
        old = (before or Configuration()).get(site.name, site.neutral)
        if new == old:
            continue
        found.update(site.touched(new), site.touched(old))
        if site.technique == "prune":
            found |= {
                name
                for name, widths in space.widths.items()
                if widths.output_site == site.name or site.name in {each[0] for each in widths.inputs}
            }
    return frozenset(found)


class OnlySegment(Hook):
    """Trains some layers and the BatchNorms behind them; nothing in front of them takes part in the backward pass.

    BatchNorms in front of the change see what they saw before, so they stay as they are, statistics included.
    """

    def __init__(self, layers: Collection[str]) -> None:
        """Says what is trained.

        Args:
            layers: Names of layers of the original network, see `changed_layers`; factors and merged layers are found
                by them.
        """
        self._layers = frozenset(layers)
        self._frozen: list[nn.Parameter] = []
        self._optimiser: torch.optim.Optimizer | None = None

    def start(self, run: Run) -> None:
        """Freezes the rest.

        Raises:
            TrainingError: None of the layers is in the network.
        """
        if not _changed(run.module, self._layers):
            raise TrainingError(
                f"a segment must name layers of the network, got {', '.join(sorted(self._layers)) or 'none'}: "
                "take them from changed_layers, or train everything"
            )
        self._freeze(run)

    def before_step(self, run: Run) -> None:
        """Freezes again where another hook changed the network."""
        if run.optimiser is not self._optimiser:
            self._freeze(run)

    def end(self, run: Run) -> None:
        """Lets everything learn again, whoever trains it next."""
        for parameter in self._frozen:
            parameter.requires_grad_(True)

    def _freeze(self, run: Run) -> None:
        changed = _changed(run.module, self._layers)
        norms = _norms_behind(run.module, changed)
        trained = {each for name in changed | norms for each in run.module.get_submodule(name).parameters()}
        for name, module in run.module.named_modules():
            if isinstance(module, _BatchNorm) and name not in norms:
                module.eval()
        for parameter in run.module.parameters():
            if parameter.requires_grad and parameter not in trained:
                parameter.requires_grad_(False)
                parameter.grad = None
                self._frozen.append(parameter)
        run.rebuild_optimiser()
        self._optimiser = run.optimiser


def _changed(module: nn.Module, layers: Set[str]) -> set[str]:
    """The modules that the layers became: themselves, their factors, or what they were merged into."""
    return {name for name, _ in module.named_modules() if any(is_part_of(name, layer) for layer in layers)}


def _norms_behind(module: nn.Module, changed: Set[str]) -> set[str]:
    """The BatchNorms that read, directly or not, from one of the modules; all where the network is no graph."""
    norms = {name for name, each in module.named_modules() if isinstance(each, _BatchNorm)}
    if not isinstance(module, fx.GraphModule):
        return norms
    reached: set[fx.Node] = set()
    for node in module.graph.nodes:
        if node.target in changed or any(each in reached for each in node.all_input_nodes):
            reached.add(node)
    return norms & {str(node.target) for node in reached}
