"""Pruning while a network is trained: many small steps instead of one large one.

Source: Zhu & Gupta 2017, "To prune, or not to prune", equation 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..hardware_profiles.errors import TrainingError
from .decided_layers import check_decided, decided_layers
from .hooks import Hook, Run
from .masks import KeepMasked, Masks, masks_by_density, n_kept_of, trained_weight

N_UPDATES = 20
"""In the paper 100 and more, over trainings that are longer by as much."""


def cubic_density(progress: float, final: float) -> float:
    """The share of weights that stay: from 1 to the final one, fast at first, when redundant weights abound.

    With sparsity s = 1 - density this is `s_f + (s_0 - s_f) · (1 - t)³` from s_0 = 0.

    Args:
        progress: t, share of the time that pruning has, between 0 and 1.
        final: Density at the end.
    """
    return final + (1 - final) * (1 - progress) ** 3


class GradualPruning(Hook):
    """Removes the weights of least magnitude of each layer, more and more of them, and then trains on without them.

    What was zero before the training stays zero.

    Attributes:
        masks: By layer, those that hold now.
    """

    def __init__(self, density: Mapping[str, float], *, duration: float = 0.5, n_updates: int = N_UPDATES) -> None:
        """Says where it goes.

        Args:
            density: Share of the weights that stays in the end, above 0, by layer; a factorised layer's is that of its
                factors.
            duration: Share of the steps, the first, over which weights go; 1 for all.
            n_updates: How often some go.

        Raises:
            TrainingError: A density, the duration or the number of updates is out of range.
        """
        for name, share in density.items():
            n_kept_of(1, share, name)
        if not 0 < duration <= 1 or n_updates < 1:
            raise TrainingError(
                "gradual pruning must take a share above 0 and up to 1 of the steps and 1 update or more, got "
                f"{duration:g} and {n_updates}: take 0.5 and {N_UPDATES}"
            )
        self._density, self._duration, self._n_updates = dict(density), duration, n_updates
        self.masks: Masks = {}
        self._n_done, self._is_restored = 0, False
        self._keeping: KeepMasked | None = None

    def start(self, run: Run) -> None:
        """Holds what is zero already.

        Raises:
            TrainingError: A density is for no layer.
        """
        check_decided(run.module, self._density, has_configuration=False)
        names = decided_layers(run.module, self._density)
        weights = {name: trained_weight(run.module.get_submodule(name)) for name in names}
        self._n_done, self._is_restored = 0, False
        self._hold(run, {name: weight.detach() != 0 for name, weight in weights.items()})

    def before_step(self, run: Run) -> None:
        """Removes more where an update is due."""
        if self._is_restored:
            self._is_restored = False
            self._hold(run, self.masks)
            return
        progress = min(1.0, (run.step + 1) / max(1.0, self._duration * run.n_steps))
        n_due = int(progress * self._n_updates)
        if n_due > self._n_done:
            self._n_done = n_due
            final = decided_layers(run.module, self._density)
            density = {name: cubic_density(n_due / self._n_updates, share) for name, share in final.items()}
            self._hold(run, masks_by_density(run.module, density, self.masks))

    def after_step(self, run: Run) -> None:
        """Holds them at zero."""
        if self._keeping is not None:
            self._keeping.after_step(run)

    def end(self, run: Run) -> None:
        """Leaves gradients alone again."""
        if self._keeping is not None:
            self._keeping.end(run)
            self._keeping = None

    def state(self) -> dict[str, Any]:
        """Masks, and how far they are."""
        return {"masks": dict(self.masks), "n_done": self._n_done}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on with these."""
        masks: dict[str, Tensor] = dict(state["masks"])
        self.masks, self._n_done, self._is_restored = masks, int(state["n_done"]), True

    def _hold(self, run: Run, masks: Masks) -> None:
        self.end(run)
        self.masks, self._keeping = masks, KeepMasked(masks)
        self._keeping.start(run)
