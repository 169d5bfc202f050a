"""The classification networks of torchvision, for any number of classes and any image size, trained or not."""

from __future__ import annotations

import difflib
import inspect
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..hardware_profiles.errors import TaskError

IMAGENET, NONE = "imagenet", "none"
"""What weights may be beside a file: torchvision's own, or random ones."""
IMAGENET_CLASSES = 1_000
SIZES = {"inception_v3": 299}
"""Side of the images that a network is made for, where it is not 224."""
_SIZE_ARGUMENTS = {"vit": "image_size", "maxvit": "input_size"}
_SPECIAL: dict[str, dict[str, Any]] = {
    # Their auxiliary heads would make the output of a network in training a tuple.
    name: {"aux_logits": False, "init_weights": True}
    for name in ("googlenet", "inception_v3")
}
N_CLOSEST = 5


def model_names() -> tuple[str, ...]:
    """All classification networks of torchvision."""
    from torchvision import models

    return tuple(models.list_models(module=models))


def check_model(name: str, others: tuple[str, ...] = ()) -> None:
    """Checks that torchvision, or `others`, has a network of that name.

    Raises:
        TaskError: It has not; names the closest.
    """
    known = (*others, *model_names())
    if name not in known:
        closest = difflib.get_close_matches(name, known, N_CLOSEST, cutoff=0)
        raise TaskError(f"unknown model {name!r}: the closest of {len(known)} are {', '.join(closest)}")


def default_size(name: str) -> int:
    """Side of the images that a network is made for, in pixels."""
    return SIZES.get(name, 224)


def build_model(name: str, *, n_classes: int, size: int, weights: str) -> nn.Module:
    """A network for images of a size and a number of classes; the same each time.

    Args:
        name: One of `model_names`.
        n_classes: Width of the output.
        size: Side of the images, in pixels; only transformers depend on it.
        weights: `none`, `imagenet`, or a file with a state dict. ImageNet's classifier is replaced by a new one where
            there are not 1,000 classes.

    Raises:
        TaskError: It cannot be built for that size, or the weights cannot be had or do not fit.
    """
    network = _untrained(name, n_classes, size, is_imagenet=weights == IMAGENET)
    if weights == IMAGENET:
        _fill(network, _imagenet_weights(name), f"the ImageNet weights of {name}", may_change_head=True)
    elif weights != NONE:
        load_weights(network, Path(weights))
    return network


def load_weights(network: nn.Module, path: Path) -> None:
    """Loads a state dict from a file into a network that it fits.

    Raises:
        TaskError: No such file, not a state dict, or one of another network.
    """
    _fill(network, read_weights(path), str(path), may_change_head=False)


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """A state dict from a file, without running any code that the file might bring.

    Raises:
        TaskError: No such file, or not a state dict.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        reason = error.strerror if isinstance(error, OSError) else "torch.load(weights_only=True) refuses it"
        raise TaskError(f"weights must be a readable file of torch.save, got {str(path)!r} ({reason})") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise TaskError(f"{path} must hold a state dict: write it with torch.save(network.state_dict(), ...)")
    return state


def _untrained(name: str, n_classes: int, size: int, *, is_imagenet: bool) -> nn.Module:
    from torchvision import models

    arguments: dict[str, Any] = {"num_classes": n_classes, **_SPECIAL.get(name, {})}
    if name in _SPECIAL:
        arguments["transform_input"] = is_imagenet  # their ImageNet weights come from another normalisation
    argument = _SIZE_ARGUMENTS.get(name.partition("_")[0])
    if argument is not None:
        arguments[argument] = (size, size) if argument == "input_size" else size
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torchvision, about how slowly two of them initialise
            torch.manual_seed(0)
            network = models.get_model(name, weights=None, **arguments)
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise TaskError(f"{name} cannot be built for {size} x {size} images ({reason}): choose another size") from error
    assert isinstance(network, nn.Module)
    return network


def _imagenet_weights(name: str) -> Mapping[str, Tensor]:
    from torchvision import models

    weights = models.get_model_weights(name).DEFAULT
    accepts = inspect.signature(torch.hub.load_state_dict_from_url).parameters
    arguments = {"weights_only": True} if "weights_only" in accepts else {}
    try:
        state: Mapping[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True, **arguments)
    except (OSError, RuntimeError) as error:  # URLError; a checksum that differs
        file, reason = weights.url.rpartition("/")[2], " ".join(str(error).split())
        raise TaskError(
            f"the ImageNet weights of {name} must be downloaded once, but that failed ({reason}): "
            f"connect to the network, put {file} into {torch.hub.get_dir()}/checkpoints, or say weights=none"
        ) from error
    return state


def _fill(network: nn.Module, state: Mapping[str, Tensor], source: str, *, may_change_head: bool) -> None:
    """Loads weights; a classifier for other classes is left out where that is allowed."""
    own = network.state_dict()
    state = {name.removeprefix("module."): value for name, value in state.items()}
    fitting = {name: value for name, value in state.items() if name in own and value.shape == own[name].shape}
    lacking = [name for name in own if name not in fitting]
    if may_change_head:
        # Extra weights are those of auxiliary heads; what has 1,000 rows and does not fit is the classifier.
        lacking = [name for name in lacking if state.get(name, torch.empty(0)).shape[:1] != (IMAGENET_CLASSES,)]
    extra = [] if may_change_head else [name for name in state if name not in own]
    if lacking or extra:
        first = (lacking or extra)[0]
        what = "lack or have in another shape" if lacking else "have beside it"
        raise TaskError(
            f"{source} must fit the network, but they {what} {first!r}: check model, number of classes and size"
        )
    network.load_state_dict(fitting, strict=False)
