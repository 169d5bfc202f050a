"""What a candidate is worth."""

from .cost_tables import CostTables
from .evaluation import Evaluation
from .evaluator import Score
from .inheritance import Inheritance
from .workbench import Workbench

__all__ = ["CostTables", "Evaluation", "Inheritance", "Score", "Workbench"]
