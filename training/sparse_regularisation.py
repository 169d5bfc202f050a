"""Sparsity by regularisation: a penalty on the weights' magnitudes or on their number makes them exactly zero.

The penalty enters by its proximal operator behind each of the optimiser's steps, as in iterative shrinkage (Daubechies
et al. 2004; Beck & Teboulle 2009) and iterative hard thresholding (Blumensath & Davies 2008), and not by its gradient:
a subgradient of |w| leaves weights that jitter about zero, and the number of weights has none. Gates that are trained
(Louizos et al. 2018) would need a draw per weight and step; the proximal step of the same penalty needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from ..hardware_profiles.errors import TrainingError
from .decided_layers import check_decided, decided_layers
from .hooks import Hook, Run
from .masks import Masks, trained_weight

Penalty: TypeAlias = Literal["l1", "l0"]
_Operator: TypeAlias = Callable[[Tensor, float], Tensor]


def soft_threshold(weight: Tensor, amount: float) -> Tensor:
    """The minimum over v of `(v - w)² / 2 + amount · |v|`: each weight nearer to zero by the amount; any shape."""
    return weight.sign() * (weight.abs() - amount).clamp_min(0.0)


def hard_threshold(weight: Tensor, amount: float) -> Tensor:
    """The minimum over v of `(v - w)² / 2 + amount · [v ≠ 0]`: zero where w² is below twice the amount; any shape."""
    return weight.masked_fill(weight.square() < 2 * amount, 0.0)


_OPERATORS: Mapping[str, _Operator] = {"l1": soft_threshold, "l0": hard_threshold}


class SparseRegularisation(Hook):
    """Trains under `loss + strength · Σ |w|` (l1) or `loss + strength · #{w ≠ 0}` (l0), per layer.

    Weights may come back from zero while it lasts. Behind it, train again without the penalty and with `KeepMasked`
    under its masks: l1 makes the weights that stay too small.

    Attributes:
        masks: By layer, true where a weight is not zero. Filled at the end.
    """

    def __init__(self, strength: Mapping[str, float], penalty: Penalty = "l1") -> None:
        """Says what is penalised.

        Args:
            strength: By layer, at least 0; a factorised layer's is that of its factors. The penalty is added to the
                loss, which is a mean over samples, as it is: start from .01.
            penalty: `l1` or `l0`.

        Raises:
            TrainingError: A strength is below 0, or the penalty unknown.
        """
        if penalty not in _OPERATORS:
            raise TrainingError(f"a penalty must be one of {', '.join(get_args(Penalty))}, got {penalty!r}: use one")
        for name, value in strength.items():
            if not value >= 0:
                raise TrainingError(f"a penalty's strength must be at least 0, got {value:g} for {name!r}: try 0.01")
        self._strength, self._apply = dict(strength), _OPERATORS[penalty]
        self.masks: Masks = {}

    def start(self, run: Run) -> None:
        """Checks the layers.

        Raises:
            TrainingError: A strength is for no layer.
        """
        self.masks = {}
        check_decided(run.module, self._strength, has_configuration=False)

    def after_step(self, run: Run) -> None:
        """The proximal step at the rate of the step before."""
        rates = {each: group["lr"] for group in run.optimiser.param_groups for each in group["params"]}
        with torch.no_grad():
            for name, strength in decided_layers(run.module, self._strength).items():
                weight = trained_weight(run.module.get_submodule(name))
                # A frozen layer has no rate.
                weight.copy_(self._apply(weight, strength * rates.get(weight, 0.0)))

    def end(self, run: Run) -> None:
        """Keeps which weights are left."""
        names = decided_layers(run.module, self._strength)
        self.masks = {name: trained_weight(run.module.get_submodule(name)).detach() != 0 for name in names}
