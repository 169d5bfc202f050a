"""What is being compressed."""

from .baseline import available_network, cache_directory, digest, trained_network
from .load import BUILT_IN, load_task
from .task import Task, TaskData, classification_hits

__all__ = [
    "BUILT_IN",
    "Task",
    "TaskData",
    "available_network",
    "cache_directory",
    "classification_hits",
    "digest",
    "load_task",
    "trained_network",
]
