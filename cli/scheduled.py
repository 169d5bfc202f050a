"""What `train --schedule` does: reads a person's schedule, and has it run."""

from __future__ import annotations

import logging
from pathlib import Path

from ..evaluators.scheduled import Outcome, Progress
from ..evaluators.scheduled import train_by_schedule as train_task
from ..hardware_profiles import HardwareProfile
from ..hardware_profiles.errors import TrainingError
from ..results.wording import word_bytes
from ..spaces import Configuration, SearchSpace
from ..tasks import Task
from ..training.schedule import Schedule, parse_schedule
from ..training.schedule_state import StageReport
from .assignments import assign
from .config import read_mapping

_LOG = logging.getLogger(__name__)


def read_schedule(path: Path) -> Schedule:
    """The schedule in a YAML file; see docs/schedules.md.

    Raises:
        SearchError: No such file, or no YAML.
        TrainingError: It breaks a rule.
    """
    content = read_mapping(path, "--schedule")
    if content is None:
        raise TrainingError(f"schedule {str(path)!r} must hold a list `stages`, but holds no mapping: write one")
    return parse_schedule(content, str(path))


def train_by_schedule(
    task: Task, profile: HardwareProfile, schedule: Schedule, out: Path, progress: Progress
) -> Outcome:
    """Runs a schedule on a task's network and writes what comes of it; a run that was killed goes on.

    Args:
        task: The task.
        profile: Says which structure is offered.
        schedule: What is done.
        out: Directory of the files.
        progress: Told of all that takes long.

    Raises:
        ParefrontError: A mistake in the schedule, or a training fails.
    """

    def structure(space: SearchSpace) -> Configuration:
        return assign(space, [f"{site}={choice}" for site, choice in schedule.structure.items()]).configuration

    return train_task(task, profile.capabilities, schedule, structure, out, on_progress=progress, on_stage=_tell)


def _tell(report: StageReport) -> None:
    _LOG.info("%s: %.2f %%, %s", report.name, report.accuracy, word_bytes(report.size_bytes))
