"""What `train --schedule` does: a person's schedule is checked first, then run, packed, read back and scored."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from ..evaluators.calibration_draw import draw_calibration
from ..evaluators.packed_network import pack_network, read_network
from ..hardware_profiles import HardwareProfile
from ..hardware_profiles.errors import PackingError, TrainingError
from ..results.wording import word_bytes
from ..spaces import DEFAULT_OPTIONS, Configuration, Finished, find_space, finish, observe, prepare, trace
from ..spaces.rebuild import rebuild_finished
from ..spaces.simulate import simulate
from ..tasks import Task, available_network, digest, trained_network
from ..training import Split, Teacher, TrainingRecipe, predict, training_device
from ..training.layer_rows import matrix_layers
from ..training.schedule import Schedule, Stage, parse_schedule, stage_recipes
from ..training.schedule_hooks import check_stages
from ..training.schedule_state import StageReport
from ..training.scheduled import FULL_BITS, ScheduledTraining, Trainer
from .assignments import assign
from .config import read_mapping

Progress = Callable[[str, int, int], None]
"""Called with (what, steps done, steps in all)."""
PACKED, STATE, SUMMARY = "network.pare", "network.pt", "summary.json"
REFERENCE = "reference"
"""Directory of the state of the training of the uncompressed network, while there is any."""
TUNING = Schedule(stages=(Stage(name="trained on"),))
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a schedule.

    Attributes:
        stages: The network as it was, in 4 bytes per parameter, then trained on by the task's full recipe, then behind
            each stage; accuracies in percent of the validation split.
        configuration: The structure that was set.
        file_bytes: Of the packed network, with all that is needed to read it.
        accuracy: Of the network as it comes back from that file, in percent of the validation split.
        test_accuracy: Likewise, of the test split.
        reference_test_accuracy: Of the uncompressed network, as it was or trained on, whichever is better on validation:
            an undertrained network must not flatter the result.
    """

    stages: tuple[StageReport, ...]
    configuration: Configuration
    file_bytes: int
    accuracy: float
    test_accuracy: float
    reference_test_accuracy: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        stages = [asdict(stage) for stage in self.stages]
        return {**asdict(self), "stages": stages, "configuration": json.loads(self.configuration.to_json())}


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
    recipes = stage_recipes(schedule, task.full_recipe)
    data = task.load_data()
    if not schedule.structure:  # else only the compressed network has the layers that stages are for
        check_stages(schedule, list(matrix_layers(available_network(task, data.train)[0])))
    baseline = trained_network(task, data.train, on_step=partial(progress, f"training the baseline of {task.name}"))
    calibration = draw_calibration(data.train, schedule.seed).inputs
    configuration, module = _prepared(baseline, calibration, profile, schedule)
    trainer = Trainer(
        data.train,
        task.loss,
        partial(accuracy_of, task=task, split=data.validation),
        teacher=_teacher(task, baseline, data.train)
        if any(each.distillation_weight > 0 for each in (task.full_recipe, *recipes))
        else None,
        device=training_device(),
        on_step=partial(progress, "training by the schedule"),
    )
    key = _key(schedule, recipes, configuration, module)
    training = ScheduledTraining(module, schedule, recipes, trainer, folder=out, key=key)
    tuned = copy.deepcopy(baseline)
    on_step = partial(progress, "training the uncompressed network as well")
    tuning = ScheduledTraining(
        tuned, TUNING, (task.full_recipe,), replace(trainer, on_step=on_step), folder=out / REFERENCE, key=key
    )
    (out / REFERENCE).mkdir(parents=True, exist_ok=True)
    n_bytes = 4 * sum(parameter.numel() for parameter in baseline.parameters())
    before = StageReport("as it was", "", trainer.accuracy(baseline), 1.0, FULL_BITS, n_bytes)
    stages = [before, *(replace(report, size_bytes=n_bytes) for report in tuning.run())]
    reference = baseline if before.accuracy >= stages[1].accuracy else tuned
    for report in training.run():
        stages.append(report)
        _LOG.info("%s: %.2f %%, %s", report.name, report.accuracy, word_bytes(report.size_bytes))
    finished = finish(module, configuration, calibration, stored=training.weights)
    packed = pack_network(finished, {"task": task.name, "schedule": schedule.model_dump(mode="json")})
    again = _read_back(packed, finished, baseline, calibration, configuration)
    outcome = Outcome(
        tuple(stages),
        configuration,
        len(packed),
        accuracy=trainer.accuracy(again),
        test_accuracy=accuracy_of(again, task=task, split=data.test),
        reference_test_accuracy=accuracy_of(reference, task=task, split=data.test),
    )
    _write(out, packed, module, outcome)
    training.forget()
    tuning.forget()
    (out / REFERENCE).rmdir()
    return outcome


def _prepared(
    baseline: nn.Module, calibration: Tensor, profile: HardwareProfile, schedule: Schedule
) -> tuple[Configuration, fx.GraphModule]:
    """The structure that a schedule begins with, and the network that has it."""
    network = observe(trace(baseline, calibration[:2]), calibration, DEFAULT_OPTIONS)
    space = find_space(network, profile.capabilities)
    configuration = assign(space, [f"{site}={choice}" for site, choice in schedule.structure.items()]).configuration
    return configuration, prepare(network, configuration)


def accuracy_of(module: nn.Module, *, task: Task, split: Split) -> float:
    """A task's score in percent."""
    return 100 * float(task.score(predict(module, split), split.targets).mean())


def _teacher(task: Task, baseline: nn.Module, train: Split) -> Teacher:
    return Teacher(predict(baseline, train), task.distance)


def _key(
    schedule: Schedule, recipes: tuple[TrainingRecipe, ...], configuration: Configuration, module: nn.Module
) -> str:
    """What the result depends on."""
    facts = {
        "schedule": schedule.model_dump(mode="json"),
        "recipes": [recipe.to_json() for recipe in recipes],
        "configuration": configuration.key,
        "weights": digest(module.state_dict()),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _read_back(
    packed: bytes, finished: Finished, baseline: nn.Module, calibration: Tensor, configuration: Configuration
) -> nn.Module:
    """The network as it comes back from its file, with the rounding of its plan.

    Raises:
        PackingError: It is another one than was packed.
    """
    read = read_network(packed)
    again = rebuild_finished(baseline, calibration, configuration, read.state, read.sizes)
    if digest(again.state_dict()) != digest(finished.module.state_dict()):
        raise PackingError("a packed network must come back as it was, but does not: report this with the schedule")
    return simulate(again, read.plan)


def _write(out: Path, packed: bytes, module: nn.Module, outcome: Outcome) -> None:
    """Each file whole or not at all."""
    summary = json.dumps(outcome.to_json(), indent=2) + "\n"
    writers: dict[str, Callable[[Path], object]] = {
        PACKED: lambda path: path.write_bytes(packed),
        STATE: partial(torch.save, module.state_dict()),
        SUMMARY: lambda path: path.write_text(summary, encoding="utf-8"),
    }
    for name, write in writers.items():
        unfinished = out / f".{name}.partial"
        write(unfinished)
        unfinished.replace(out / name)
