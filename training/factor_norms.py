"""A BatchNorm behind every factor of a low-rank layer but the last: deep chains of factors train better with it.

Tai et al. 2016, "Convolutional neural networks with low-rank regularization": without it gradients explode or
vanish along the factors. `finish` folds it into its factor, so it costs nothing in the end.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..hardware_profiles.errors import TrainingError
from ..spaces.layer_parts import n_parts

_NORMS: dict[type[nn.Module], type[_BatchNorm]] = {
    nn.Linear: nn.BatchNorm1d,
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
}


def add_factor_norms(
    module: fx.GraphModule, layers: Iterable[str], calibration: Tensor | tuple[Tensor, ...]
) -> tuple[str, ...]:
    """Puts BatchNorms between the factors of layers, in place; in evaluation the outputs stay what they were.

    Each has the statistics of what its factor gives on calibration inputs, and undoes them: scale and shift are these
    statistics too.

    Args:
        module: From `prepare`, in evaluation mode.
        layers: Names, in the original network, of the layers that were factorised. Those that are in one piece, and
            linear ones on more than one axis, whose channels a BatchNorm would not find, are passed over.
        calibration: Shape (n, ...), n at least 2, or one such tensor per input.

    Returns:
        The names of the BatchNorms.

    Raises:
        TrainingError: There are no samples to take statistics from.
    """
    inputs = calibration if isinstance(calibration, tuple) else (calibration,)
    if len(inputs[0]) < 2:
        raise TrainingError(f"BatchNorms need statistics of at least 2 samples, got {len(inputs[0])}: give more")
    chained = {name: module.get_submodule(name) for name in layers}
    factors = [
        f"{name}.{position}"
        for name, chain in chained.items()
        if isinstance(chain, nn.Sequential)
        for position in range(n_parts(chain) - 1)
    ]
    added = []
    for factor, values in _outputs(module, factors, inputs).items():
        name, _, position = factor.rpartition(".")
        added.append(f"{name}.norm{position}")
        module.add_submodule(added[-1], _undone_norm(module.get_submodule(factor), values))
        _insert_behind(module, factor, added[-1])
    module.recompile()
    return tuple(added)


def _outputs(module: nn.Module, factors: list[str], inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """What the factors give, those whose second axis are channels: (n, channels, ...)."""
    found: dict[str, Tensor] = {}

    def keep(name: str, factor: nn.Module, values: Tensor) -> None:
        if not isinstance(factor, nn.Linear) or values.dim() == 2:
            found[name] = values

    hooks = [
        module.get_submodule(name).register_forward_hook(
            lambda factor, _, values, name=name: keep(name, factor, values)
        )
        for name in factors
    ]
    try:
        with torch.no_grad():
            module(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _undone_norm(factor: nn.Module, values: Tensor) -> _BatchNorm:
    """A BatchNorm with the statistics of some values, (n, channels, ...), that gives them back."""
    norm = _NORMS[type(factor)](values.shape[1]).to(values.device, values.dtype).eval()
    variance, mean = torch.var_mean(values.transpose(0, 1).flatten(1), dim=1)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean)
    return norm


def _insert_behind(module: fx.GraphModule, factor: str, norm: str) -> None:
    node = next(node for node in module.graph.nodes if node.op == "call_module" and node.target == factor)
    with module.graph.inserting_after(node):
        inserted = module.graph.call_module(norm, (node,), {})
    node.replace_all_uses_with(inserted, delete_user_cb=lambda user: user is not inserted)
