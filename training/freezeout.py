"""FreezeOut: layers stop learning one after the other, the first first, and cost no backward pass from then on.

Source: Brock et al. 2017, "FreezeOut: Accelerate Training by Progressively Freezing Layers".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx, nn

from ..spaces.graph import attribute_of, is_layer, module_of
from .hooks import Hook, Run
from .recipe import TrainingRecipe
from .schedules import rate

EXPONENTS: Mapping[str, int] = {"linear": 1, "squared": 2, "cubic": 3}


def freezing_time(position: float, start: float, growth: str) -> float:
    """When a layer freezes, as a share of the steps.

    Args:
        position: Of the layer, from 0 (the first) to 1 (the last, which never freezes).
        start: t0: when the first layer freezes, before it is squared or cubed.
        growth: One of `EXPONENTS`.
    """
    time: float = (start + (1 - start) * position) ** EXPONENTS[growth]
    return time


def layer_rate(progress: float, time: float, recipe: TrainingRecipe) -> float:
    """The rate of a layer as a share of the recipe's: it runs through the whole schedule in its own time.

    With the cosine schedule it is the paper's `(1 + cos(π t/t_i)) / 2`, scaled by `1/t_i`.

    Args:
        progress: Share of the steps taken, before the layer's time.
        time: When it freezes, see `freezing_time`.
        recipe: Names the schedule.
    """
    scale = 1 / time if recipe.is_freezeout_scaled else 1.0
    return scale * rate(progress / time, recipe)


@dataclass(slots=True)
class LayerUnit:
    """A layer and what follows it up to the next one: a BatchNorm, the slopes of an activation.

    Attributes:
        name: Of the layer.
        modules: What has parameters; to be put into evaluation mode.
        parameters: All of theirs, as far as no earlier unit has them.
    """

    name: str
    modules: list[nn.Module] = field(default_factory=list)
    parameters: list[nn.Parameter] = field(default_factory=list)


def layer_units(module: nn.Module) -> list[LayerUnit]:
    """The units of a network in the order in which they run; of one without a graph, as they were registered."""
    units: list[LayerUnit] = []
    seen: set[nn.Parameter] = set()
    for name, owner, parameters in _parts(module):
        if not units or is_layer(owner):
            units.append(LayerUnit(name))
        if owner is not None:
            units[-1].modules.append(owner)
        units[-1].parameters += [each for each in parameters if each not in seen]
        seen.update(parameters)
    return [unit for unit in units if unit.parameters]


class FreezeOut(Hook):
    """Freezes layers at the times that the recipe says.

    A frozen layer is in evaluation mode and needs no gradient. Frozen layers come before all others, so nothing that
    comes before the first one that still learns is part of the backward pass.
    """

    def __init__(self) -> None:
        self._times: dict[str, float] = {}
        self._base: dict[nn.Parameter, float] = {}
        self._units: list[LayerUnit] = []
        self._frozen: list[nn.Parameter] = []
        self._optimiser: torch.optim.Optimizer | None = None

    def before_step(self, run: Run) -> None:
        """Freezes the layers whose time has come, and sets the rates of the others."""
        if run.optimiser is not self._optimiser:  # the first step, or another hook changed the network
            self._arrange(run)
        is_due = [unit for unit in self._units if self._times[unit.name] <= run.progress]
        if is_due:
            for unit in is_due:
                self._freeze(unit)
            self._units = [unit for unit in self._units if unit not in is_due]
            self._divide(run)
        shared = rate(run.progress, run.recipe)
        for group in run.optimiser.param_groups:
            own = layer_rate(run.progress, group["time"], run.recipe)
            # `set_rate` multiplies by the shared rate, which no schedule lets fall to 0 before its end.
            group["factor"] = group["base"] * own / shared

    def end(self, run: Run) -> None:
        """Lets every layer learn again, whoever trains it next."""
        for parameter in self._frozen:
            parameter.requires_grad_(True)

    def _arrange(self, run: Run) -> None:
        """Finds the layers; one that was merged out of several is under the name, and so at the time, of the first."""
        self._units = layer_units(run.module)
        last = max(1, len(self._units) - 1)
        if not self._times:
            self._times = {
                unit.name: freezing_time(i / last, run.recipe.freezeout_start, run.recipe.freezeout)
                for i, unit in enumerate(self._units)
            }
            # What other hooks set before the first step; afterwards factors are ours.
            self._base = {each: group["factor"] for group in run.optimiser.param_groups for each in group["params"]}
        self._divide(run)

    def _freeze(self, unit: LayerUnit) -> None:
        for module in unit.modules:
            module.eval()
        for parameter in unit.parameters:
            if parameter.requires_grad:
                parameter.requires_grad_(False)
                parameter.grad = None  # or it would still count where gradients are clipped
                self._frozen.append(parameter)

    def _divide(self, run: Run) -> None:
        """Gives each layer that learns a group of its own, or several where another hook set factors in it."""
        common = {name: value for name, value in run.optimiser.param_groups[0].items() if name != "params"}
        time_of = {each: self._times[unit.name] for unit in self._units for each in unit.parameters}
        members: dict[tuple[float, float], list[nn.Parameter]] = {}
        for parameter in run.module.parameters():
            if parameter.requires_grad:
                key = time_of.get(parameter, 1.0), self._base.get(parameter, 1.0)
                members.setdefault(key, []).append(parameter)
        run.optimiser.param_groups[:] = [
            {**common, "params": parameters, "time": time, "base": base} for (time, base), parameters in members.items()
        ]
        for parameter in self._frozen:
            run.optimiser.state.pop(parameter, None)
        self._optimiser = run.optimiser


def _parts(module: nn.Module) -> Iterator[tuple[str, nn.Module | None, list[nn.Parameter]]]:
    """What has parameters, in order: name, module (None where the graph reads a parameter itself), parameters."""
    if not isinstance(module, fx.GraphModule):
        for name, each in module.named_modules():
            if own := list(each.parameters(recurse=False)):
                yield name, each, own
        return
    for node in module.graph.nodes:
        called = module_of(module, node)
        if called is not None and (own := list(called.parameters())):
            yield str(node.target), called, own
        elif node.op == "get_attr":
            value: Tensor | None = attribute_of(module, node)
            if isinstance(value, nn.Parameter):
                yield str(node.target), None, [value]
