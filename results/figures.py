"""The figures: for each, a function from trials to data and one from data to a Plotly figure."""

from __future__ import annotations

from .decisions_figure import DecisionCell, DecisionsData, decisions_data, draw_decisions
from .front_figure import FrontData, FrontPoint, draw_front, front_data
from .hypervolume_figure import HypervolumeData, HypervolumeSeries, draw_hypervolume, hypervolume_data

__all__ = [
    "DecisionCell",
    "DecisionsData",
    "FrontData",
    "FrontPoint",
    "HypervolumeData",
    "HypervolumeSeries",
    "decisions_data",
    "draw_decisions",
    "draw_front",
    "draw_hypervolume",
    "front_data",
    "hypervolume_data",
]
