"""A compressed network as one `.pare` file: what is needed to keep or to send it, in as few bytes as it takes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, fx

from ..evaluators.packed_facts import PackedFacts
from ..evaluators.packed_network import PackedNetwork, pack_network, read_network
from ..hardware_profiles.errors import PackingError, ParefrontError
from ..spaces import Configuration, Finished, simulate
from ..spaces.rebuild import rebuild_finished
from ..tasks import Task
from .export_source import Source
from .load import ResultsError
from .probe import Function
from .task_by_name import task_by_name
from .weights_folder import as_function

MOST_INPUTS = 1 << 28
"""Numbers in a batch of two."""


def write_packed(source: Source, path: Path) -> None:
    """Writes a final member, reads it back, builds the network anew and compares it with the one that was written.

    Raises:
        ResultsError: What is deployed of the two is not the same to the last bit.
    """
    manifest, example = source.run.manifest, source.kept.inputs[:2].numpy()
    facts = PackedFacts(
        task=manifest["task"],
        configuration=dict(source.member.configuration),
        input_shape=list(example.shape),
        input_type=str(example.dtype),
        seed=manifest.get("seed"),
        version=manifest.get("version"),
    )
    path.write_bytes(pack_network(source.finished, facts.to_json()))
    written, read = (_outputs(each, source.kept.inputs) for each in (source.finished, _finished(path, source.task)))
    if not torch.equal(written, read):
        raise ResultsError(
            f"{path.name} must give the outputs of the network that it was made of, to the last bit, but does not: "
            "export the member in another format"
        )


def rebuild_packed(path: Path | str, task: Task, *, rounds: bool = True) -> fx.GraphModule:
    """The compressed network in torch, from an exported `.pare` file; nothing is unpickled.

    Args:
        path: What `export --to model.pare` wrote.
        task: What was compressed; it builds the network, whose own weights do not matter.
        rounds: Whether it computes with the rounding of its precision, as when it is deployed; without it in float.

    Returns:
        A module in evaluation mode.

    Raises:
        ResultsError: The file cannot be read, or is not what was exported.
        PackingError: The file is damaged.
        ExportError: The task's network is another one.
    """
    finished = _finished(Path(path), task)
    return simulate(finished.module, finished.plan) if rounds else finished.module


def open_packed(path: Path, runtime: str, task: Task | None) -> Function:
    """The same as a function of arrays; the task may be found by its name."""
    return as_function(rebuild_packed(path, task or task_by_name(_read(path)[1].task)))


def _finished(path: Path, task: Task) -> Finished:
    """The network of a file, which was run once: what does not fit together is found here."""
    network, facts = _read(path)
    if math.prod(facts.input_shape) > MOST_INPUTS:
        raise _broken(path, ValueError(f"inputs of shape {facts.input_shape}"))
    try:
        example = torch.from_numpy(np.zeros(facts.input_shape, facts.input_type))
        configuration = Configuration.of(facts.configuration)
        module = rebuild_finished(task.build_network(), example, configuration, network.state, network.sizes)
        finished = Finished(module, network.plan, network.stored)
        _outputs(finished, example)
    except ParefrontError:
        raise
    except Exception as error:  # of any class: facts of one file with tensors of another
        raise _broken(path, error) from error
    return finished


def _read(path: Path) -> tuple[PackedNetwork, PackedFacts]:
    try:
        network = read_network(path.read_bytes())
        return network, PackedFacts.model_validate(network.facts)
    except PackingError as error:
        raise PackingError(f"{path.name} cannot be read: {error}") from error
    except (OSError, ValidationError) as error:
        raise _broken(path, error) from error


def _outputs(finished: Finished, inputs: Tensor) -> Tensor:
    """What is deployed of a network, on some inputs."""
    with torch.no_grad():
        outputs: Tensor = simulate(finished.module, finished.plan)(inputs)
    return outputs


def _broken(path: Path, error: Exception) -> ResultsError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return ResultsError(f"{path} must be as it was exported, but: {reason}: export the model again")
