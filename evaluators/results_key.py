"""What the results of a task depend on beside the hardware, as one key."""

from __future__ import annotations

import hashlib
import json

from torch import nn

from ..tasks import Task, TaskData, digest


def results_key(task: Task, data: TaskData, baseline: nn.Module) -> str:
    """SHA-256 over the trained network, the data and the recipes.

    Args:
        task: Whose fine-tunes it is about.
        data: What `task.load_data` gave.
        baseline: The network as it was trained.
    """
    splits = (data.train, data.validation, data.test)
    facts = {
        "weights": digest(baseline.state_dict()),
        "data": [digest({"inputs": split.inputs, "targets": split.targets}) for split in splits],
        "recipes": [recipe.to_json() for recipe in (task.short_recipe, task.full_recipe)],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
