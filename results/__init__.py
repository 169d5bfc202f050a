"""Reads finished runs and presents them; never computes a score."""

from .load import ResultsError, Run, load, to_frame
from .report import write_report
from .summary import FrontRow, front_rows, summary_line

__all__ = ["FrontRow", "ResultsError", "Run", "front_rows", "load", "summary_line", "to_frame", "write_report"]
