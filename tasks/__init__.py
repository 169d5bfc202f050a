"""What is being compressed."""

from .baseline import available_network, baseline_file, cache_directory, digest, keep_baseline_file, trained_network
from .load import BUILT_IN, load_task
from .resources import EVENLY, Resources
from .task import Task, TaskData, classification_hits

__all__ = [
    "BUILT_IN",
    "EVENLY",
    "Resources",
    "Task",
    "TaskData",
    "available_network",
    "baseline_file",
    "cache_directory",
    "classification_hits",
    "digest",
    "keep_baseline_file",
    "load_task",
    "trained_network",
]
