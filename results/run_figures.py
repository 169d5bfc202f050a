"""All figures of a run by name, each drawn when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from ..hardware_profiles.errors import unknown_name
from ..search.trial import Trial
from .comparison_data import compare_profiles
from .comparison_figure import draw_comparison
from .decisions_figure import decisions_data, draw_decisions
from .fidelity_data import fidelity_data
from .fidelity_figure import draw_fidelity
from .front_3d_data import front_3d_data
from .front_3d_figure import draw_front_3d
from .front_data import front_data
from .front_figure import draw_front
from .hypervolume_figure import draw_hypervolume, draw_hypervolume_over_time, hypervolume_data
from .importance import importances
from .importance_figure import draw_importance, importance_data
from .layers_data import layers_data
from .layers_figure import draw_layers
from .load import ResultsError
from .network_data import network_data
from .network_figure import draw_network
from .parallel_data import parallel_data
from .parallel_figure import draw_parallel
from .prediction_data import prediction_data
from .prediction_figure import draw_prediction
from .sensitivity_data import sensitivity_data
from .sensitivity_figure import draw_sensitivity
from .time_data import time_data
from .time_figure import draw_time

if TYPE_CHECKING:
    from .load import Run

_OF_RUN: Mapping[str, Callable[[Run], go.Figure]] = {
    "front": lambda run: draw_front(front_data(run.trials, run.goals)),
    "front-3d": lambda run: draw_front_3d(front_3d_data(run.trials, run.goals)),
    "hypervolume": lambda run: draw_hypervolume(hypervolume_data(run.trials, run.goals)),
    "hypervolume-time": lambda run: draw_hypervolume_over_time(hypervolume_data(run.trials, run.goals)),
    "decisions": lambda run: draw_decisions(decisions_data(run)),
    "parallel": lambda run: draw_parallel(parallel_data(run)),
    "sensitivity": lambda run: draw_sensitivity(sensitivity_data(run)),
    "prediction": lambda run: draw_prediction(prediction_data(run.trials)),
    "fidelity": lambda run: draw_fidelity(fidelity_data(run.trials)),
    "time": lambda run: draw_time(time_data(run)),
    "profiles": lambda run: draw_comparison(compare_profiles(run)),
}
_OF_TRIAL: Mapping[str, Callable[[Run, Trial], go.Figure]] = {
    "layers": lambda run, trial: draw_layers(layers_data(run, trial)),
    "network": lambda run, trial: draw_network(network_data(run, trial)),
}
_IMPORTANCE = "importance-"


class RunFigures(Mapping[str, go.Figure]):
    """The figures of one run.

    `run.figures["front"]` draws one, `list(run.figures)` names them all; those of one configuration, `layers` and
    `network`, show the pick, and another with `run.figures.of_trial("network", 12)`.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def __getitem__(self, name: str) -> go.Figure:
        """Draws one figure.

        Raises:
            KeyError: There is none of that name.
        """
        if name in _OF_RUN:
            return _OF_RUN[name](self._run)
        if name in _OF_TRIAL:
            return _OF_TRIAL[name](self._run, self._pick())
        objective = name.removeprefix(_IMPORTANCE)
        if name in list(self):
            found = importances(self._run.trials, self._run.sites, self._run.objectives)
            return draw_importance(next(importance_data(each) for each in found if each.objective == objective))
        raise KeyError(unknown_name("figure", name, list(self)))

    def __contains__(self, name: object) -> bool:
        return name in list(self)  # without drawing it

    def __iter__(self) -> Iterator[str]:
        """The names: those of the run, those of its pick, and one importance for each objective."""
        yield from _OF_RUN
        yield from _OF_TRIAL
        yield from (f"{_IMPORTANCE}{name}" for name in self._run.objectives.names)

    def __len__(self) -> int:
        return len(_OF_RUN) + len(_OF_TRIAL) + len(self._run.objectives)

    def of_trial(self, name: str, number: int) -> go.Figure:
        """Draws a figure that shows one configuration.

        Args:
            name: `layers` or `network`.
            number: Of the trial.

        Raises:
            KeyError: There is none of that name.
            ResultsError: The run has no such trial.
        """
        if name not in _OF_TRIAL:
            raise KeyError(unknown_name("figure of a trial", name, list(_OF_TRIAL)))
        trial = next((each for each in self._run.trials if each.number == number), None)
        if trial is None:
            last = len(self._run.trials) - 1
            raise ResultsError(f"a trial must be one of 0 to {last}, got {number}: see `parefront front`")
        return _OF_TRIAL[name](self._run, trial)

    def _pick(self) -> Trial:
        """What the summary names; else the front's most accurate member, else the baseline."""
        members = [trial for trial in self._run.front if trial.configuration]
        return self._run.findings.pick or next(iter(members), self._run.baseline)
