"""The figures: for each, a function from trials to data and one from data to a Plotly figure.

`RunFigures` holds them by name.
"""

from __future__ import annotations

from .comparison_data import ComparisonData, compare_profiles, compare_runs
from .comparison_figure import draw_comparison
from .decisions_figure import DecisionsData, decisions_data, draw_decisions
from .fidelity_data import FidelityPairs, fidelity_data
from .fidelity_figure import draw_fidelity
from .front_3d_data import Front3dData, front_3d_data
from .front_3d_figure import draw_front_3d
from .front_data import FrontData, FrontPoint, front_data
from .front_figure import draw_front
from .hypervolume_figure import (
    HypervolumeData,
    HypervolumeSeries,
    draw_hypervolume,
    draw_hypervolume_over_time,
    hypervolume_data,
)
from .importance_figure import ImportanceBar, ImportanceData, draw_importance, importance_data
from .layer_decisions import DecisionCell
from .layers_data import LayersData, layers_data
from .layers_figure import draw_layers
from .network_data import NetworkData, network_data
from .network_figure import draw_network
from .parallel_data import ParallelData, parallel_data
from .parallel_figure import draw_parallel
from .prediction_data import PredictionPoint, prediction_data
from .prediction_figure import draw_prediction
from .sensitivity_data import SensitivityData, sensitivity_data
from .sensitivity_figure import draw_sensitivity
from .time_data import TimeGroup, time_data
from .time_figure import draw_time

__all__ = [
    "ComparisonData",
    "DecisionCell",
    "DecisionsData",
    "FidelityPairs",
    "Front3dData",
    "FrontData",
    "FrontPoint",
    "HypervolumeData",
    "HypervolumeSeries",
    "ImportanceBar",
    "ImportanceData",
    "LayersData",
    "NetworkData",
    "ParallelData",
    "PredictionPoint",
    "SensitivityData",
    "TimeGroup",
    "compare_profiles",
    "compare_runs",
    "decisions_data",
    "draw_comparison",
    "draw_decisions",
    "draw_fidelity",
    "draw_front",
    "draw_front_3d",
    "draw_hypervolume",
    "draw_hypervolume_over_time",
    "draw_importance",
    "draw_layers",
    "draw_network",
    "draw_parallel",
    "draw_prediction",
    "draw_sensitivity",
    "draw_time",
    "fidelity_data",
    "front_3d_data",
    "front_data",
    "hypervolume_data",
    "importance_data",
    "layers_data",
    "network_data",
    "parallel_data",
    "prediction_data",
    "sensitivity_data",
    "time_data",
]
