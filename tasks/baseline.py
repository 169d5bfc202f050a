"""The trained, uncompressed network of a task, cached by content where training it is ours to do."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ..training import Checkpoint, OnStep, Split, finetune, training_device
from .task import Task

CACHE_SCHEMA = 2


def cache_directory() -> Path:
    """Where trained baselines lie: `$XDG_CACHE_HOME/parefront` or `~/.cache/parefront`."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "parefront"


def trained_network(task: Task, train: Split, *, seed: int = 0, on_step: OnStep | None = None) -> nn.Module:
    """The network of a task in evaluation mode, trained by us where the task says so.

    The cache key covers the initial weights, what the network and the loss make of some training samples (and so the
    code of both), the training data, its augmentation and the recipe, so that nothing stale is used.

    Args:
        task: The task.
        train: Its training data.
        seed: Orders the training batches.
        on_step: Progress of the training; not called when the cache serves.
    """
    network = task.build_network()
    if task.baseline_recipe is None:
        return network.eval()
    path = _path(task, network, train, seed)
    state = _read(path)
    if state is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        finetune(
            network,
            train,
            task.baseline_recipe,
            task.loss,
            seed=seed,
            on_step=on_step,
            augment=task.augment,
            checkpoint=Checkpoint(path.with_suffix(".checkpoint"), path.stem),
            device=training_device(),
        )
        _write(path, network.state_dict())
    else:
        network.load_state_dict(state)
    # Contiguous, so that a cached and a freshly trained network are the same to everything downstream.
    return network.to(memory_format=torch.contiguous_format).eval()


def baseline_file(task: Task, train: Split, *, seed: int = 0) -> Path | None:
    """Where `trained_network` keeps its work; None where a task's network comes trained.

    Args:
        task: The task.
        train: Its training data.
        seed: Orders the training batches.
    """
    return None if task.baseline_recipe is None else _path(task, task.build_network(), train, seed)


def keep_baseline_file(name: str, content: bytes) -> None:
    """Puts a `baseline_file` of another machine into the cache of this one, unless there is one already.

    Args:
        name: Of the file.
        content: Of the file; one that is damaged or of another task is never used.
    """
    path = cache_directory() / Path(name).name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_bytes(content)
        partial.replace(path)


def available_network(task: Task, train: Split, *, seed: int = 0) -> tuple[nn.Module, bool]:
    """The network of a task without training anything: the cached baseline, else as `build_network` gives it.

    Returns:
        The network in evaluation mode, and whether it is trained.
    """
    network = task.build_network().eval()
    if task.baseline_recipe is None:
        return network, True
    state = _read(_path(task, network, train, seed))
    if state is not None:
        network.load_state_dict(state)
    return network, state is not None


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes and values, in hexadecimal."""
    sha = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        sha.update(f"{name}{tuple(tensor.shape)}".encode())
        sha.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()


def _path(task: Task, network: nn.Module, train: Split, seed: int) -> Path:
    return cache_directory() / f"{task.name}-{_key(task, network, train, seed)[:16]}.pt"


def _key(task: Task, network: nn.Module, train: Split, seed: int) -> str:
    assert task.baseline_recipe is not None
    facts = {
        "schema": CACHE_SCHEMA,
        "weights": digest(network.state_dict()),
        "data": digest({"inputs": train.inputs, "targets": train.targets}),
        "recipe": task.baseline_recipe.to_json(),
        "seed": seed,
        "code": repr(network),
        "loss": _initial_loss(task, network, train),
    }
    if task.augment is not None:
        augmented = task.augment(next(train.batches(8)).inputs, torch.Generator().manual_seed(seed))
        facts["augment"] = digest({"inputs": augmented})
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _initial_loss(task: Task, network: nn.Module, train: Split) -> str:
    """The untrained network's loss on the first samples, to four digits: the last ones depend on the machine."""
    batch = next(train.batches(8))
    with torch.no_grad():
        return f"{float(task.loss(network.eval()(batch.inputs), batch.targets)):.4g}"


def _read(path: Path) -> Mapping[str, Tensor] | None:
    """The cached weights, or None where there are none or the file is damaged."""
    try:
        content = torch.load(path, weights_only=True)
        state: Mapping[str, Tensor] = content["state"]
        return state if digest(state) == content["digest"] else None
    except (
        OSError,
        EOFError,
        RuntimeError,
        pickle.UnpicklingError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ):
        return None


def _write(path: Path, state: Mapping[str, Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    torch.save({"state": dict(state), "digest": digest(state)}, partial)
    partial.replace(path)  # a reader sees the whole file or none
