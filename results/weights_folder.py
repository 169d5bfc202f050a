"""A compressed network as weights and a recipe: what was done to the task's network, and no code."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, fx

from ..evaluators.deploy import parity_limit
from ..hardware_profiles.precision import PrecisionPlan
from ..spaces import Configuration, Finished, simulate
from ..spaces.rebuild import rebuild_finished
from ..tasks import Task
from .export_source import Source
from .load import ResultsError
from .probe import Function, Probe
from .task_by_name import task_by_name

WEIGHTS, RECIPE = "weights.npz", "recipe.json"


class Recipe(BaseModel):
    """What is done to the task's network, and with what it was made.

    Attributes:
        schema_version: Of the recipe.
        task: Name of the task.
        configuration: Choices by site.
        precision: The precision plan, as JSON text.
        sizes: See `spaces.rebuild`.
        input_shape: Of a batch of two.
        input_type: As NumPy names it.
        options: Of the techniques.
        seed: Of all training.
        version: Of parefront.
    """

    model_config = ConfigDict(populate_by_name=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    task: str
    configuration: dict[str, int | str]
    precision: str
    sizes: dict[str, dict[str, int | list[int]]]
    input_shape: list[int]
    input_type: str
    options: dict[str, Any] = {}  # for people; techniques and their options change
    seed: int | None = None
    version: str | None = None


def write_weights(source: Source, folder: Path) -> None:
    """Writes `weights.npz` (arrays by the names of the network's state) and `recipe.json` into a new folder."""
    kept, manifest = source.kept, source.run.manifest
    folder.mkdir()
    with zipfile.ZipFile(folder / WEIGHTS, "w", zipfile.ZIP_STORED) as archive:
        for name, value in kept.state.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, value.numpy(), allow_pickle=False)
    example = kept.inputs[:2].numpy()
    recipe = Recipe(
        task=manifest["task"],
        configuration=dict(source.member.configuration),
        precision=kept.plan.to_json(),
        sizes={name: dict(held) for name, held in kept.sizes.items()},
        input_shape=list(example.shape),
        input_type=str(example.dtype),
        options=manifest.get("options", {}),
        seed=manifest.get("seed"),
        version=manifest.get("version"),
    )
    (folder / RECIPE).write_text(recipe.model_dump_json(by_alias=True, indent=2) + "\n", encoding="utf-8")


def rebuild(folder: Path | str, task: Task, *, rounds: bool = True) -> fx.GraphModule:
    """The compressed network in torch, from an exported folder of weights; nothing is unpickled.

    It is run on the inputs that are stored in the folder before it is handed out.

    Args:
        folder: What `export --format weights` wrote.
        task: What was compressed; it builds the network, whose own weights do not matter.
        rounds: Whether it computes with the rounding of its precision, as when it is deployed; without it in float, for
            instance to train it further.

    Returns:
        A module in evaluation mode.

    Raises:
        ResultsError: The folder is not what was exported, or the network gives other outputs.
        ExportError: The task's network is another one.
    """
    folder = Path(folder)
    finished = _finished(folder, task)
    rounded = simulate(finished.module, finished.plan)
    found = Probe.read(folder / "probe.npz").compare(as_function(rounded), parity_limit(finished.plan))
    if not found.is_kept:
        raise ResultsError(
            f"the network of {folder} must give the outputs that were stored with it, but with the task {task.name!r} "
            f"{found.text}: give the task that the search had"
        )
    return rounded if rounds else finished.module


def open_weights(folder: Path, task: Task | None) -> Function:
    """The same as a function of arrays; the task may be found by its name."""
    return as_function(rebuild(folder, task or task_by_name(_read_recipe(folder).task)))


def as_function(network: fx.GraphModule) -> Function:
    """A network as a function of arrays."""

    def run(inputs: NDArray[Any]) -> NDArray[Any]:
        with torch.no_grad():
            outputs: NDArray[Any] = network(torch.from_numpy(inputs)).numpy()
        return outputs

    return run


def _finished(folder: Path, task: Task) -> Finished:
    recipe = _read_recipe(folder)
    plan = PrecisionPlan.from_json(recipe.precision)
    try:
        example = torch.from_numpy(np.zeros(recipe.input_shape, recipe.input_type))
    except (TypeError, ValueError) as error:
        raise _broken(folder / RECIPE, error) from error
    state = _read_state(folder / WEIGHTS)
    configuration = Configuration.of(recipe.configuration)
    return Finished(rebuild_finished(task.build_network(), example, configuration, state, recipe.sizes), plan)


def _read_recipe(folder: Path) -> Recipe:
    path = folder / RECIPE
    try:
        return Recipe.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        raise _broken(path, error) from error


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            return {name: torch.from_numpy(content[name]) for name in content.files}
    except (OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> ResultsError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return ResultsError(f"{path} must be as it was exported, but: {reason}: export the model again")
