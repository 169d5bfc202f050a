"""Folded activations turn linear while a network is trained, and the layers between them merge as soon as they are."""

from __future__ import annotations

from torch import fx

from ..spaces.fold import merge_linear_segments
from ..spaces.linearise import is_linearising, set_linearity
from .hooks import Hook, Run
from .schedules import linearity


class Linearisation(Hook):
    """Raises α of every linearised activation from 0 to 1 over the share `linearisation` of the recipe's steps."""

    def __init__(self) -> None:
        self._is_needed, self._alpha = True, -1.0

    def start(self, run: Run) -> None:
        """Looks whether there is anything to do: most candidates fold nothing, and a look takes time at each step."""
        self._is_needed = is_linearising(run.module)

    def before_step(self, run: Run) -> None:
        """Sets α; where it reaches 1, merges the layers, which makes the rest of the training cheaper."""
        alpha = linearity(run.progress, run.recipe.linearisation)
        if not self._is_needed or alpha == self._alpha:
            return
        self._alpha = alpha
        set_linearity(run.module, alpha)
        if alpha == 1 and isinstance(run.module, fx.GraphModule) and merge_linear_segments(run.module):
            run.rebuild_optimiser()

    def end(self, run: Run) -> None:
        """Leaves every one linear, however short the training was."""
        set_linearity(run.module, 1.0)
