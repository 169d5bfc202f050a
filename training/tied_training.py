"""Training with weights that are tied to each other: filters to flips of a few others, rows to shifts of one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from ..packing import CirculantWeight, TiedWeight
from ..spaces.configuration import Configuration
from ..spaces.weight_codes import TIES, code_weight, layer_codes
from .decided_layers import check_decided, decided_layers
from .hooks import Hook, Run
from .masks import trained_weight

Tied = TiedWeight | CirculantWeight


class TiedTraining(Hook):
    """Ties the weights of layers as soon as folded activations are gone, and trains on with them.

    Which filter is a flip of which stays as it was found then. Each entry takes the optimiser's step for itself, and
    the weight then becomes the nearest one with these ties, as with shared values (`WeightSharing`).

    At the end each weight is exactly what its form decodes to.

    Attributes:
        weights: By layer of the trained network. Filled at the end.
    """

    def __init__(self, codes: Mapping[str, str], *, has_configuration: bool = False) -> None:
        """Says what is tied.

        Args:
            codes: `flips:n` or `circulant:b` by layer.
            has_configuration: Whether the network was prepared with a configuration.
        """
        self._codes, self._has_configuration = dict(codes), has_configuration
        self.weights: dict[str, Tied] = {}
        self._known: dict[str, Tied] = {}
        self._tied: dict[str, Tied] | None = None

    @classmethod
    def of(cls, configuration: Configuration) -> TiedTraining | None:
        """For the layers that a configuration stores with ties; None where there are none."""
        codes = layer_codes(configuration, TIES)
        return cls(codes, has_configuration=True) if codes else None

    def start(self, run: Run) -> None:
        """Checks the layers.

        Raises:
            TrainingError: A layer is unknown.
        """
        self.weights, self._known, self._tied = {}, {}, None
        check_decided(run.module, self._codes, has_configuration=self._has_configuration)

    def before_step(self, run: Run) -> None:
        """Ties the weights when it is time."""
        if self._tied is None and run.is_merged:
            self._tied = {}
            for name, code in decided_layers(run.module, self._codes).items():
                weight = trained_weight(run.module.get_submodule(name)).detach().cpu().contiguous()
                tied = self._known.get(name) or code_weight(weight, code)
                assert isinstance(tied, Tied)
                self._tied[name] = tied
            self._put(run)

    def after_step(self, run: Run) -> None:
        """Ties them again."""
        for name, tied in (self._tied or {}).items():
            assert self._tied is not None
            self._tied[name] = tied.refit(trained_weight(run.module.get_submodule(name)).detach().cpu())
        self._put(run)

    def end(self, run: Run) -> None:
        """Keeps the form of each weight."""
        self.weights, self._tied = dict(self._tied or {}), None

    def state(self) -> dict[str, Any]:
        """The forms, as soon as there are any."""
        return {
            name: {each.name: getattr(tied, each.name) for each in dataclasses.fields(tied)}
            for name, tied in (self._tied or {}).items()
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on with these."""
        self._known = {
            name: TiedWeight(**fields) if "base" in fields else CirculantWeight(**fields)
            for name, fields in state.items()
        }

    def _put(self, run: Run) -> None:
        with torch.no_grad():
            for name, tied in (self._tied or {}).items():
                trained_weight(run.module.get_submodule(name)).copy_(tied.decode())
