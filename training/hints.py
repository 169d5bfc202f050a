"""Feature hints: layers inside the student learn to give what layers inside the teacher give.

Source: Romero et al. 2015, "FitNets: Hints for Thin Deep Nets". Where widths differ a 1 x 1 regressor, trained with the
rest, translates the student's features; it is gone when the training ends.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from ..hardware_profiles.errors import TrainingError
from .distillation import channels_last
from .hooks import Hook, Run
from .split import Batch

REGRESSORS = "hint_regressor"
"""What the names of the regressors' parameters begin with while a network is trained."""


class FeatureHints(Hook):
    """Adds `weight · mean squared difference` of pairs of features to the loss, averaged over the pairs."""

    def __init__(
        self, teacher: nn.Module, pairs: Mapping[str, str], example_inputs: Tensor, *, weight: float = 1.0
    ) -> None:
        """Describes what is to be matched; nothing is run yet.

        Args:
            teacher: A trained network; copied, and asked in evaluation mode about the very inputs the student sees.
            pairs: Names of modules, student's to teacher's. Their outputs have shape (n, channels, ...), the same but
                for the channels; or (n, ..., channels), where they are linear layers.
            example_inputs: A few, shape (n, ...): the widths are found with them.
            weight: Of the hints in the loss.

        Raises:
            TrainingError: There are no pairs, or the weight is not above 0.
        """
        if not pairs or not weight > 0:
            raise TrainingError(
                f"hints need at least one pair of layers and a weight above 0, got {len(pairs)} and {weight:g}: "
                "leave the hook out to train without them"
            )
        self._teacher, self._pairs, self._weight = teacher, dict(pairs), weight
        self._example_inputs = example_inputs
        self._inputs: tuple[Tensor, ...] = ()
        self._student: dict[str, Tensor] = {}
        self._taught: dict[str, Tensor] = {}
        self._regressors: dict[str, nn.Module] = {}
        self._handles: list[RemovableHandle] = []

    def start(self, run: Run) -> None:
        """Listens to both networks, and gives the student's its regressors.

        Raises:
            TrainingError: A name is unknown, or two features differ in more than their channels.
        """
        device = next(run.module.parameters()).device
        self._teacher = copy.deepcopy(self._teacher).to(device).eval()
        self._handles = [run.module.register_forward_pre_hook(self._note_inputs)]
        try:
            self._handles += _listen(run.module, list(self._pairs), self._student, "student")
            self._handles += _listen(self._teacher, list(self._pairs.values()), self._taught, "teacher")
            self._ask_both(run.module, channels_last(self._example_inputs.to(device)))
            for own, other in self._pairs.items():
                regressor = _regressor(run.module.get_submodule(own), own, self._given(own), self._wanted(other))
                if regressor is not None:
                    self._regressors[own] = regressor.to(device)
        except TrainingError:
            self.end(run)
            raise
        # As parameters and not as a module, which a sequence would call and a graph would clear away.
        for name, parameter in self._parameters().items():
            run.module.register_parameter(name, parameter)
        run.rebuild_optimiser()

    def before_step(self, run: Run) -> None:
        """Forgets the features of the last step, so that a layer that is gone is noticed."""
        self._student.clear()

    def added_loss(self, run: Run, batch: Batch) -> Tensor:
        """The hints' part of the loss.

        Raises:
            TrainingError: A layer of the student is no longer called.
        """
        with torch.no_grad():
            self._teacher(*self._inputs)
        total = torch.zeros((), device=self._inputs[0].device)
        for own, other in self._pairs.items():
            features = self._given(own).float()
            if own in self._regressors:
                features = self._regressors[own](features)
            total = total + functional.mse_loss(features, self._wanted(other).float())
        return self._weight * total / len(self._pairs)

    def end(self, run: Run) -> None:
        """Takes the regressors out again."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        for name in self._parameters().keys() & dict(run.module.named_parameters(recurse=False)).keys():
            delattr(run.module, name)
        self._regressors.clear()
        run.rebuild_optimiser()

    def _parameters(self) -> dict[str, nn.Parameter]:
        """Of the regressors, under the names that they have in the student."""
        return {
            f"{REGRESSORS}_{position}_{name}": parameter
            for position, regressor in enumerate(self._regressors.values())
            for name, parameter in regressor.named_parameters()
        }

    def _given(self, layer: str) -> Tensor:
        if layer not in self._student:
            raise TrainingError(
                f"a layer with a hint must be called, but the student calls {layer!r} not, or no longer: take the hint "
                "from a layer that is not merged"
            )
        return self._student[layer]

    def _wanted(self, layer: str) -> Tensor:
        if layer not in self._taught:
            raise TrainingError(
                f"a layer with a hint must be called, but the teacher does not call {layer!r}: take the hint from "
                "another layer"
            )
        return self._taught[layer]

    def _note_inputs(self, module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        self._inputs = arguments

    def _ask_both(self, student: nn.Module, inputs: Tensor) -> None:
        """One pass of each without a trace in the student's statistics."""
        were_training = {module: module.training for module in student.modules()}
        student.eval()
        with torch.no_grad():
            student(inputs)
            self._teacher(inputs)
        for module, was_training in were_training.items():
            module.training = was_training


def _listen(module: nn.Module, names: list[str], found: dict[str, Tensor], whose: str) -> list[RemovableHandle]:
    """Notes what submodules give, from now on."""
    modules = dict(module.named_modules())
    unknown = [name for name in names if name not in modules]
    if unknown:
        raise TrainingError(f"a hint needs a layer of both networks, got {unknown[0]!r}: the {whose} has no such layer")

    def noting(name: str) -> Callable[..., None]:
        def note(called: nn.Module, arguments: Any, output: Tensor) -> None:  # torch passes any arguments
            found[name] = output

        return note

    return [modules[name].register_forward_hook(noting(name)) for name in names]


def _regressor(layer: nn.Module, name: str, own: Tensor, other: Tensor) -> nn.Module | None:
    """What makes the student's features as wide as the teacher's; None where they are.

    Raises:
        TrainingError: They differ in more than their width.
    """
    is_last = isinstance(layer, nn.Linear)
    axis = own.dim() - 1 if is_last else 1
    shapes = [[size for each, size in enumerate(value.shape) if each != axis] for value in (own, other)]
    if own.dim() != other.dim() or own.dim() < 2 or shapes[0] != shapes[1]:
        raise TrainingError(
            f"two features of a hint must have the same shape but for their channels, got {tuple(own.shape)} and "
            f"{tuple(other.shape)} for {name!r}: pair layers of the same resolution"
        )
    if own.shape == other.shape:
        return None
    widths = own.shape[axis], other.shape[axis]
    if axis == own.dim() - 1:
        return nn.Linear(*widths)
    return (nn.Conv1d, nn.Conv2d, nn.Conv3d)[own.dim() - 3](*widths, kernel_size=1)
