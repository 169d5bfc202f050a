"""Answers the questions for sizes in a network's graph before it is exported.

A network that asks an inner tensor for its size makes the runtime hold that tensor in float: between int8 layers it
would only have to exist in integers. All sizes but the batch are known, and the batch can be asked from an input.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, fx
from torch._subclasses.fake_tensor import FakeTensorMode


def settle_sizes(module: fx.GraphModule, example_inputs: tuple[Tensor, ...]) -> None:
    """Replaces, in place, the sizes that the graph asks for by numbers, or by the size of the first input's batch.

    A size that depends on the batch in another way stays a question.

    Args:
        module: The network.
        example_inputs: One batch of every input, shape (n, ...).
    """
    asking = [node for node in module.graph.nodes if asks_for_size(node)]
    if not asking:
        return
    n_samples = example_inputs[0].shape[0]
    # Seen at two batch sizes, a number that does not depend on the batch is the same.
    first, second = (_sizes(module, asking, _repeated(example_inputs, n)) for n in (n_samples, 2 * n_samples + 1))
    inputs = [node for node in module.graph.nodes if node.op == "placeholder"]
    with module.graph.inserting_after(inputs[-1]):
        batch = module.graph.call_method("size", (inputs[0], 0))
    for node in asking:
        pairs = zip(_as_tuple(first[node]), _as_tuple(second[node]), strict=True)
        known = tuple(_settled(one, other, batch, (n_samples, 2 * n_samples + 1)) for one, other in pairs)
        if not isinstance(first[node], tuple):
            if known[0] is not None:
                _substitute(node, known[0])
            continue
        for user in list(node.users):
            if user.op == "call_function" and user.target is operator.getitem:
                picked = known[user.args[1]]
                if picked is not None and not (isinstance(picked, tuple) and None in picked):
                    _substitute(user, picked)
        if None not in known:
            _substitute(node, known)
    module.graph.eliminate_dead_code()
    module.recompile()


def asks_for_size(node: fx.Node) -> bool:
    """Whether a node gives the size of a tensor, not a tensor."""
    if node.op == "call_method":
        return node.target == "size"
    return node.op == "call_function" and node.target is getattr and str(node.args[1]) == "shape"


def _sizes(module: fx.GraphModule, nodes: list[fx.Node], inputs: tuple[Tensor, ...]) -> dict[fx.Node, Any]:
    """What the nodes give, found without computing any value."""
    found: dict[fx.Node, Any] = {}

    class Asker(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:  # fx passes values of any type
            value = super().run_node(n)
            if n in nodes:
                found[n] = tuple(value) if isinstance(value, torch.Size) else value
            return value

    with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.no_grad():
        Asker(module).run(*(mode.from_tensor(each) for each in inputs))
    return found


def _repeated(inputs: tuple[Tensor, ...], n: int) -> tuple[Tensor, ...]:
    return tuple(each.new_zeros(n, *each.shape[1:]) for each in inputs)


def _as_tuple(size: Any) -> tuple[int, ...]:
    return size if isinstance(size, tuple) else (size,)


def _settled(one: int, other: int, batch: fx.Node, batches: tuple[int, int]) -> int | fx.Node | None:
    if one == other:
        return one
    return batch if (one, other) == batches else None


def _substitute(node: fx.Node, value: Any) -> None:
    """Lets all that read a node read a value instead: a number, a node, or a tuple of these."""
    for user in list(node.users):
        user.args = _replaced(user.args, node, value)
        user.kwargs = _replaced(user.kwargs, node, value)


def _replaced(argument: Any, node: fx.Node, value: Any) -> Any:
    if isinstance(argument, tuple | list):
        return type(argument)(_replaced(each, node, value) for each in argument)
    if isinstance(argument, dict):
        return {key: _replaced(each, node, value) for key, each in argument.items()}
    return value if argument is node else argument
