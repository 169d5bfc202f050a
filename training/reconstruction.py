"""Layer-wise reconstruction: the last part of each replaced layer learns, in closed form, what the layer gave.

Parts are the factors of a low-rank layer, and the layers of a compact operator; of those that give the outputs side by
side each learns its share.

Asymmetric, as in Zhang et al. 2016, "Accelerating Very Deep Convolutional Networks", section 3.2: its inputs are those
that the compressed network hands it, with the errors of the layers before, and its targets are the outputs of the
original. Layers are solved in the order in which they run, each after those before it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn

from ..hardware_profiles.errors import TrainingError
from ..spaces.layer_parts import share_among_parts
from .layer_rows import MatrixLayer, input_rows, matrix_layers, n_groups, output_rows

DAMPING = 1e-3
"""Share of the mean second moment by which the factor is held to what it was, where the inputs say little."""
MAX_ROWS = 16_384
"""Places (of all samples) that a layer is solved on."""


@dataclass(frozen=True, slots=True)
class Reconstructed:
    """What a reconstruction made of a network.

    Attributes:
        module: The network with its new parts.
        errors: By layer: mean squared error of the outputs over their mean square, before and after, both on the
            inputs that the network reconstructed so far hands on.
        left_alone: By layer, why it was not reconstructed.
    """

    module: fx.GraphModule
    errors: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    left_alone: Mapping[str, str] = field(default_factory=dict)


def reconstruct(
    module: fx.GraphModule,
    original: fx.GraphModule,
    layers: Iterable[str],
    calibration: Tensor | tuple[Tensor, ...],
    *,
    damping: float = DAMPING,
) -> Reconstructed:
    """Solves for the last part of each replaced layer, weight and bias, on calibration inputs.

    Args:
        module: What `prepare` made of the original; not touched.
        original: The uncompressed network.
        layers: Names, in the original, of the layers that were factorised or have another operator.
        calibration: Shape (n, ...), or one such tensor per input. They pass through all at once.
        damping: See `DAMPING`; 0 for plain least squares.

    Raises:
        TrainingError: A name is no layer of both networks, or there are no samples.
    """
    inputs = calibration if isinstance(calibration, tuple) else (calibration,)
    if len(inputs[0]) == 0:
        raise TrainingError("reconstruction needs at least one sample, got 0: give it some of the training split")
    module = copy.deepcopy(module).eval()
    solved, left_alone = _sort_out(module, matrix_layers(original, layers))
    targets = _outputs(original, {each.layer for each in solved.values()}, inputs)
    squares: dict[str, Tensor] = {}

    class Solver(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:  # fx passes values of any type
            share = solved.get(str(n.target)) if n.op == "call_module" else None
            if share is not None:
                layer = matrix_layers(module, [str(n.target)])[str(n.target)]
                (given,), _ = self.fetch_args_kwargs_from_env(n)
                found = _solve(layer, given, targets[share.layer][:, share.channels], damping)
                squares[share.layer] = squares[share.layer] + found if share.layer in squares else found
            return super().run_node(n)

    with torch.no_grad():
        Solver(module).run(*inputs)
    errors = {name: (float(before / total), float(after / total)) for name, (before, after, total) in squares.items()}
    return Reconstructed(module, errors, left_alone)


@dataclass(frozen=True, slots=True)
class _Share:
    """The output channels of a layer that one part gives."""

    layer: str
    channels: slice


def _sort_out(module: nn.Module, layers: Mapping[str, MatrixLayer]) -> tuple[dict[str, _Share], dict[str, str]]:
    """What each part that can be solved for gives, by its name; and the reasons of the layers that were left alone."""
    solved: dict[str, _Share] = {}
    left_alone: dict[str, str] = {}
    for name, layer in layers.items():
        try:
            shares = share_among_parts(module, name, len(layer.weight))
        except AttributeError:
            left_alone[name] = "it is no longer in the network"
            continue
        weights = {part: module.get_parameter(f"{part}.weight") for part in shares}
        if name in weights and weights[name].shape[2:] == layer.weight.shape[2:]:
            left_alone[name] = "it was not replaced"
        elif any(len(weights[part]) != n_channels for part, n_channels in shares.items()):
            left_alone[name] = "some of its channels were pruned"
        else:
            first = 0
            for part, n_channels in shares.items():
                solved[part] = _Share(name, slice(first, first + n_channels))
                first += n_channels
    return solved, left_alone


def _outputs(original: fx.GraphModule, wanted: set[str], inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Rows of the original's outputs by layer, those of `_kept`."""
    found: dict[str, Tensor] = {}

    class Recorder(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:  # fx passes values of any type
            value = super().run_node(n)
            name = str(n.target)
            if n.op == "call_module" and name in wanted:
                rows = output_rows(matrix_layers(original, [name])[name], value)
                found[name] = rows[_kept(len(rows))]
            return value

    with torch.no_grad():
        Recorder(original).run(*inputs)
    return found


def _kept(n_rows: int) -> Tensor:
    """The rows that a layer is solved on; drawn, because equal steps would meet the same columns of every image."""
    return torch.randperm(n_rows, generator=torch.Generator().manual_seed(0))[:MAX_ROWS].sort().values


def _solve(layer: MatrixLayer, inputs: Tensor, targets: Tensor, damping: float) -> Tensor:
    """Sets a layer to the least-squares solution; its squared error before and after, and the targets' square."""
    rows = input_rows(layer, inputs)
    rows = rows[:, _kept(rows.shape[1])].double()  # (groups, rows, in)
    if layer.bias is not None:
        rows = torch.cat([rows, rows.new_ones(*rows.shape[:2], 1)], 2)
    groups = n_groups(layer)
    wanted = targets.double().reshape(len(targets), groups, -1).movedim(1, 0)  # (groups, rows, out)
    before = _parameters(layer, groups)  # (groups, in, out)
    moment = rows.mT @ rows
    mean = moment.diagonal(dim1=1, dim2=2).mean(1)
    held = moment + torch.diag_embed((damping * mean)[:, None].expand(moment.shape[:2]))
    # What is solved for is the change: damping then holds it to zero where the inputs say nothing.
    change = _solution(held, rows.mT @ (wanted - rows @ before))
    _set_parameters(layer, before + change)
    total = wanted.square().sum().clamp_min(torch.finfo(torch.float64).tiny)
    errors = [(wanted - rows @ solution).square().sum() for solution in (before, before + change)]
    return torch.stack([*errors, total])


def _solution(system: Tensor, right: Tensor) -> Tensor:
    """Of symmetric systems, (groups, in, in) and (groups, in, out); of the shortest where they have many."""
    factor, info = torch.linalg.cholesky_ex(system)
    if bool(info.any()):
        shortest: Tensor = torch.linalg.lstsq(system, right, driver="gelsd").solution
        return shortest
    solved: Tensor = torch.cholesky_solve(right, factor)
    return solved


def _parameters(layer: MatrixLayer, groups: int) -> Tensor:
    """Weight and, last, bias: (groups, in (+ 1), out) in float64."""
    weight = layer.weight.double().reshape(groups, -1, layer.weight[0].numel()).mT
    if layer.bias is None:
        return weight
    return torch.cat([weight, layer.bias.double().reshape(groups, 1, -1)], 1)


def _set_parameters(layer: MatrixLayer, parameters: Tensor) -> None:
    if layer.bias is not None:
        layer.bias.copy_(parameters[:, -1].flatten())
        parameters = parameters[:, :-1]
    layer.weight.copy_(parameters.mT.reshape(layer.weight.shape))
