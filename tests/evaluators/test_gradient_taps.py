"""Linear networks, whose derivatives are products of their weights."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn

from parefront.evaluators import gradient_taps
from parefront.evaluators.gradient_taps import MAX_PROJECTIONS, tap
from parefront.spaces import trace


def linear(weight: list[list[float]]) -> nn.Linear:
    matrix = torch.tensor(weight)
    layer = nn.Linear(matrix.shape[1], matrix.shape[0], bias=False)
    layer.weight = nn.Parameter(matrix)
    return layer


def traced(model: nn.Module, n_inputs: int = 2) -> fx.GraphModule:
    return trace(model.eval(), torch.zeros(2, n_inputs)).module


class Twice(nn.Module):
    """One layer, called twice: y = W W x."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = linear([[1.0, 1.0], [0.0, 1.0]])

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x))


class Forked(nn.Module):
    """y = 2 h + 3 h with h = 7 x; both read the same h."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.twofold, self.threefold = linear([[7.0]]), linear([[2.0]]), linear([[3.0]])

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        return self.twofold(h) + self.threefold(h)


class Ending(nn.Module):
    """A layer, and what becomes of its outputs."""

    def __init__(self, end: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.layer, self.end = linear([[1.0, 0.0], [0.0, 2.0]]), end

    def forward(self, x: Tensor) -> object:
        return self.end(self.layer(x))


def test_slopes_are_the_products_of_the_weights_behind() -> None:
    module = traced(nn.Sequential(linear([[1.0, 0.0], [0.0, 2.0]]), linear([[1.0, 2.0], [3.0, 4.0]])))
    taps = tap(module, torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), ("0", "1"))
    assert taps is not None
    (first,), (second,) = taps.calls["0"], taps.calls["1"]
    # Shape (projections, n, ...), one projection per output; of every sample the same.
    for slopes, jacobian in (
        (first.input_slopes, [[1.0, 4.0], [3.0, 8.0]]),
        (first.output_slopes, [[1.0, 2.0], [3.0, 4.0]]),
        (second.input_slopes, [[1.0, 2.0], [3.0, 4.0]]),
        (second.output_slopes, [[1.0, 0.0], [0.0, 1.0]]),
    ):
        assert torch.equal(slopes, torch.tensor(jacobian)[:, None].expand(2, 3, 2))
    assert first.outputs.tolist() == second.inputs.tolist() == [[1.0, 0.0], [0.0, 2.0], [1.0, 2.0]]
    assert taps.outputs.tolist() == second.outputs.tolist() == [[1.0, 3.0], [4.0, 8.0], [5.0, 11.0]]
    # Both hidden values up by 1: 1 + 2 and 3 + 4. The second alone, by 10: 20 and 40.
    assert first.effect(torch.ones(3, 2)).tolist() == [[3.0, 7.0]] * 3
    assert first.effect(torch.tensor([0.0, 10.0]).expand(3, 2)).tolist() == [[20.0, 40.0]] * 3


def test_an_activation_passes_the_slope_where_it_is_open() -> None:
    module = traced(nn.Sequential(linear([[1.0], [-1.0]]), nn.ReLU(), linear([[5.0, 6.0]])), 1)
    taps = tap(module, torch.tensor([[2.0], [-2.0]]), ("1",))
    assert taps is not None
    (call,) = taps.calls["1"]
    assert call.input_slopes.tolist() == [[[5.0, 0.0], [0.0, 6.0]]]
    assert call.output_slopes.tolist() == [[[5.0, 6.0], [5.0, 6.0]]]


def test_a_module_that_is_called_twice_has_two_calls() -> None:
    taps = tap(traced(Twice()), torch.tensor([[1.0, 1.0]]), ("layer",))
    assert taps is not None
    first, second = taps.calls["layer"]
    assert (first.inputs.tolist(), second.inputs.tolist()) == ([[1.0, 1.0]], [[2.0, 1.0]])
    assert first.output_slopes[:, 0].tolist() == [[1.0, 1.0], [0.0, 1.0]]
    assert second.output_slopes[:, 0].tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_who_reads_what_others_read_too_has_the_slope_along_itself_alone() -> None:
    taps = tap(traced(Forked(), 1), torch.ones(1, 1), ("first", "twofold", "threefold"))
    assert taps is not None
    slopes = {name: float(calls[0].input_slopes) for name, calls in taps.calls.items()}
    assert slopes == {"first": 35.0, "twofold": 2.0, "threefold": 3.0}
    assert float(taps.calls["first"][0].output_slopes) == 5.0


def test_many_outputs_are_projected_onto_sums_with_random_signs() -> None:
    n_outputs = MAX_PROJECTIONS + 4
    module = traced(nn.Sequential(linear(torch.eye(n_outputs).tolist())), n_outputs)
    inputs = torch.randn(3, n_outputs, generator=torch.Generator().manual_seed(0))
    first, second = (tap(module, inputs, ("0",)) for _ in range(2))
    assert first is not None
    assert second is not None
    (call,) = first.calls["0"]
    assert call.output_slopes.shape == (MAX_PROJECTIONS, 3, n_outputs)
    # Over the root of their number, so that all together have the energy of the outputs on average.
    assert torch.equal(call.output_slopes.abs(), torch.full_like(call.output_slopes, MAX_PROJECTIONS**-0.5))
    assert len({tuple(each) for each in call.output_slopes[:, 0].tolist()}) == MAX_PROJECTIONS
    torch.testing.assert_close(first.outputs, torch.einsum("nc,pnc->np", inputs, call.output_slopes))
    torch.testing.assert_close(call.effect(inputs), first.outputs)
    assert torch.equal(first.outputs, second.outputs)  # the signs are drawn anew, but the same


@pytest.mark.parametrize(
    ("n_pairs", "n_projections", "n_samples"),
    [(1000, 4, 8), (16, 4, 4), (12, 3, 4), (5, 2, 2), (1, 2, 2)],
)
def test_memory_limits_projections_and_samples(
    n_pairs: int, n_projections: int, n_samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of a sample 4 floats are read and 4 given, 32 bytes; for every projection there are as many slopes.
    monkeypatch.setattr(gradient_taps, "MEMORY_BYTES", 32 * n_pairs)
    taps = tap(traced(nn.Sequential(nn.Linear(4, 4)), 4), torch.randn(8, 4), ("0",))
    assert taps is not None
    assert taps.calls["0"][0].output_slopes.shape == (n_projections, n_samples, 4)
    assert taps.outputs.shape == (n_samples, n_projections)


@pytest.mark.parametrize(
    "end", [lambda y: y.argmax(1), lambda y: (y, y), lambda y: y.detach(), lambda y: (y > 0).to(y.dtype)]
)
def test_without_derivatives_there_is_nothing(end: Callable[[Tensor], object]) -> None:
    assert tap(traced(Ending(end)), torch.ones(2, 2), ("layer",)) is None


@pytest.mark.parametrize(
    ("end", "slopes"), [(lambda y: y.flip(1), [[0.0, 1.0], [1.0, 0.0]]), (lambda y: y.sum(1), [[1.0, 1.0]])]
)
def test_outputs_may_have_any_shape(end: Callable[[Tensor], object], slopes: list[list[float]]) -> None:
    taps = tap(traced(Ending(end)), torch.ones(2, 2), ("layer",))
    assert taps is not None
    assert taps.calls["layer"][0].output_slopes[:, 0].tolist() == slopes


def test_a_module_may_be_called_by_keyword() -> None:
    class ByKeyword(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = linear([[3.0]])

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(input=x)

    taps = tap(traced(ByKeyword(), 1), torch.ones(1, 1), ("layer",))
    assert taps is not None
    assert float(taps.calls["layer"][0].input_slopes) == 3.0


@pytest.mark.parametrize("is_frozen", [False, True])
def test_the_network_is_left_as_it_was(is_frozen: bool) -> None:
    module = traced(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2)))
    module.requires_grad_(not is_frozen)
    inputs, before = torch.randn(4, 2), {name: value.clone() for name, value in module.state_dict().items()}
    taps = tap(module, inputs, ("0", "2", "3"))
    assert taps is not None
    assert taps.calls["0"][0].output_slopes.any()
    after = module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert [(p.grad, p.requires_grad) for p in module.parameters()] == [(None, not is_frozen)] * 6
    assert not any(each._forward_hooks or each._backward_hooks for each in module.modules())
    assert not inputs.requires_grad
    assert not any(each.requires_grad for call in taps.calls["0"] for each in (call.inputs, call.outputs))


class Squeezed(nn.Module):
    """Gives one number per sample, of a single sample a number alone."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).squeeze()  # type: ignore[no-any-return]


class Pooled(Squeezed):
    """Gives one number for all samples together."""

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).mean(0)  # type: ignore[no-any-return]


def test_outputs_that_a_single_sample_would_give_another_shape_are_followed() -> None:
    taps = tap(traced(Squeezed(), 4), torch.randn(8, 4), ("layer",))
    assert taps is not None
    assert taps.outputs.shape == (8, 1)


def test_outputs_without_an_entry_per_sample_have_no_taps() -> None:
    assert tap(traced(Pooled(), 4), torch.randn(8, 4), ("layer",)) is None
