"""A task's network under a schedule: checked first, then trained, packed, read back and scored."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from ..hardware_profiles.errors import PackingError
from ..hardware_profiles.profile import Capabilities
from ..spaces import DEFAULT_OPTIONS, Configuration, Finished, SearchSpace, find_space, finish, observe, prepare, trace
from ..spaces.rebuild import rebuild_finished
from ..spaces.simulate import simulate
from ..tasks import Task, TaskData, available_network, digest, trained_network
from ..training import Split, Teacher, TrainingRecipe, predict, training_device
from ..training.layer_rows import matrix_layers
from ..training.schedule import Schedule, Stage, stage_recipes
from ..training.schedule_hooks import check_stages
from ..training.schedule_state import StageReport
from ..training.scheduled import FULL_BITS, ScheduledTraining, Trainer
from .calibration_draw import draw_calibration
from .packed_network import pack_network, read_network

Progress = Callable[[str, int, int], None]
"""Called with (what, steps done, steps in all)."""
Structure = Callable[[SearchSpace], Configuration]
"""(space of the network) → the configuration that it begins with."""
PACKED, STATE, SUMMARY = "network.pare", "network.pt", "summary.json"
REFERENCE = "reference"
"""Directory of the state of the training of the uncompressed network, while there is any."""
TUNING = Schedule(stages=(Stage(name="trained on"),))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a schedule.

    Attributes:
        stages: The network as it was, in 4 bytes per parameter, then trained on for as long as all stages take, then
            behind each stage; accuracies in percent of the validation split.
        configuration: The structure that was set.
        file_bytes: Of the packed network, with all that is needed to read it.
        accuracy: Of the network as it comes back from that file, in percent of the validation split.
        test_accuracy: Likewise, of the test split.
        reference_test_accuracy: Of the uncompressed network, as it was or trained on, whichever validation prefers: an
            undertrained network must not flatter the result.
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


def train_by_schedule(
    task: Task,
    capabilities: Capabilities,
    schedule: Schedule,
    structure: Structure,
    out: Path,
    *,
    on_progress: Progress,
    on_stage: Callable[[StageReport], None],
) -> Outcome:
    """Runs a schedule on a task's network and writes what comes of it; a run that was killed goes on.

    Args:
        task: The task.
        capabilities: Of the hardware: which structure is offered.
        schedule: What is done.
        structure: Reads the schedule's choices for sites.
        out: Directory of the files.
        on_progress: Told of all that takes long.
        on_stage: Told of each stage as it ends.

    Raises:
        ParefrontError: A mistake in the schedule, or a training fails.
    """
    recipes = stage_recipes(schedule, task.full_recipe)
    data = task.load_data()
    if not schedule.structure:  # else only the compressed network has the layers that stages are for
        check_stages(schedule, list(matrix_layers(available_network(task, data.train)[0])))
    baseline = trained_network(task, data.train, on_step=partial(on_progress, f"training the baseline of {task.name}"))
    calibration = draw_calibration(data.train, schedule.seed).inputs
    configuration, module = _prepared(baseline, calibration, capabilities, structure)
    trainer, key = _trainer(task, data, baseline, recipes), _key(schedule, recipes, configuration, module)
    told = replace(trainer, on_step=partial(on_progress, "training by the schedule"))
    training = ScheduledTraining(module, schedule, recipes, told, folder=out, key=key)
    recipe = _as_long(task.full_recipe, schedule, recipes, len(data.train))
    dense, reference = _reference(baseline, recipe, trainer, on_progress, out / REFERENCE, key)
    stages = list(dense)
    for report in training.run():
        stages.append(report)
        on_stage(report)
    finished = finish(module, configuration, calibration, stored=training.weights)
    packed = pack_network(finished, {"task": task.name, "schedule": schedule.model_dump(mode="json")})
    again = _read_back(packed, finished, baseline, calibration, configuration)
    accuracy, *tests = (
        accuracy_of(each, task=task, split=split)
        for each, split in ((again, data.validation), (again, data.test), (reference, data.test))
    )
    outcome = Outcome(tuple(stages), configuration, len(packed), accuracy, *tests)
    _write(out, packed, module, outcome)
    training.forget()
    shutil.rmtree(out / REFERENCE)
    return outcome


def _trainer(task: Task, data: TaskData, baseline: nn.Module, recipes: Sequence[TrainingRecipe]) -> Trainer:
    """What both the uncompressed network and the other learn with."""
    distils = any(recipe.distillation_weight > 0 for recipe in (task.full_recipe, *recipes))
    return Trainer(
        data.train,
        task.loss,
        partial(accuracy_of, task=task, split=data.validation),
        teacher=Teacher(predict(baseline, data.train), task.distance) if distils else None,
        device=training_device(),
    )


def _as_long(
    full: TrainingRecipe, schedule: Schedule, recipes: Sequence[TrainingRecipe], n_train: int
) -> TrainingRecipe:
    """The full fine-tune, for as many samples as all stages together where these are more."""
    stages = [recipe for stage, recipe in zip(schedule.stages, recipes, strict=True) for _ in range(stage.n_rounds)]
    n_full, *n_samples = (recipe.n_steps(n_train) * min(recipe.batch_size, n_train) for recipe in (full, *stages))
    return replace(full, n_samples=max(n_full, sum(n_samples)), n_epochs=0.0)


def _reference(
    baseline: nn.Module, recipe: TrainingRecipe, trainer: Trainer, progress: Progress, folder: Path, key: str
) -> tuple[tuple[StageReport, StageReport], nn.Module]:
    """The uncompressed network as it is and trained on, and the better of the two on validation."""
    folder.mkdir(parents=True, exist_ok=True)
    tuned = copy.deepcopy(baseline)
    trainer = replace(trainer, on_step=partial(progress, "training the uncompressed network as well"))
    (after,) = ScheduledTraining(tuned, TUNING, (recipe,), trainer, folder=folder, key=key).run()
    n_bytes = 4 * sum(parameter.numel() for parameter in baseline.parameters())
    before = StageReport("as it was", "", trainer.accuracy(baseline), 1.0, FULL_BITS, n_bytes)
    return (before, replace(after, size_bytes=n_bytes)), baseline if before.accuracy >= after.accuracy else tuned


def _prepared(
    baseline: nn.Module, calibration: Tensor, capabilities: Capabilities, structure: Structure
) -> tuple[Configuration, fx.GraphModule]:
    """The structure that a schedule begins with, and the network that has it."""
    network = observe(trace(baseline, calibration[:2]), calibration, DEFAULT_OPTIONS)
    configuration = structure(find_space(network, capabilities))
    return configuration, prepare(network, configuration)


def accuracy_of(module: nn.Module, *, task: Task, split: Split) -> float:
    """A task's score in percent."""
    return 100 * float(task.score(predict(module, split), split.targets).mean())


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
