"""Reads finished runs and presents them; never computes a score."""

from .findings import Findings
from .load import ResultsError, Run, load
from .packed_file import rebuild_packed
from .report import write_report
from .summary import FrontRow, front_rows, summary_line
from .weights_folder import rebuild

__all__ = [
    "Findings",
    "FrontRow",
    "ResultsError",
    "Run",
    "front_rows",
    "load",
    "rebuild",
    "rebuild_packed",
    "summary_line",
    "write_report",
]
