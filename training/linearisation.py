"""Folded activations turn linear while a network is trained, and the layers between them merge as soon as they are."""

from __future__ import annotations

from torch import fx

from ..spaces.fold import merge_linear_segments
from ..spaces.linearise import set_linearity
from .hooks import Hook, Run
from .schedules import linearity


class Linearisation(Hook):
    """Raises α of every linearised activation from 0 to 1 over the share `linearisation` of the recipe's steps."""

    def before_step(self, run: Run) -> None:
        """Sets α; where it reaches 1, merges the layers, which makes the rest of the training cheaper."""
        alpha = linearity(run.progress, run.recipe.linearisation)
        set_linearity(run.module, alpha)
        if alpha == 1 and isinstance(run.module, fx.GraphModule) and merge_linear_segments(run.module):
            run.rebuild_optimiser()

    def end(self, run: Run) -> None:
        """Leaves every one linear, however short the training was."""
        set_linearity(run.module, 1.0)
