"""What a candidate is worth."""

from .cost_tables import CostTables
from .evaluator import Score
from .workbench import Evaluation, Workbench

__all__ = ["CostTables", "Evaluation", "Score", "Workbench"]
