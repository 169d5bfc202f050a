"""The figures: for each, a function from trials to data and one from data to a Plotly figure."""

from __future__ import annotations

from .decisions_figure import DecisionsData, decisions_data, draw_decisions
from .front_data import FrontData, FrontPoint, front_data
from .front_figure import draw_front
from .hypervolume_figure import HypervolumeData, HypervolumeSeries, draw_hypervolume, hypervolume_data
from .importance_figure import ImportanceBar, ImportanceData, draw_importance, importance_data
from .layer_decisions import DecisionCell

__all__ = [
    "DecisionCell",
    "DecisionsData",
    "FrontData",
    "FrontPoint",
    "HypervolumeData",
    "HypervolumeSeries",
    "ImportanceBar",
    "ImportanceData",
    "decisions_data",
    "draw_decisions",
    "draw_front",
    "draw_hypervolume",
    "draw_importance",
    "front_data",
    "hypervolume_data",
    "importance_data",
]
