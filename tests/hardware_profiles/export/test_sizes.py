import torch
from torch import Tensor, fx, nn

from parefront.hardware_profiles.export.sizes import asks_for_size, settle_sizes


class Windows(nn.Module):
    """Folds windows of two pixels into the batch, as window attention does, and asks for all kinds of sizes."""

    def forward(self, x: Tensor) -> Tensor:
        n, channels, length = x.shape
        x = x.view(n, channels, length // 2, 2).permute(0, 2, 1, 3).reshape(-1, channels, 2) * x.size(1)
        many = x.size(0)
        return x.reshape(many, -1).reshape(n, -1, x.shape[-1])


def test_sizes_become_numbers_or_the_batch_of_the_input() -> None:
    module = fx.symbolic_trace(Windows())
    inputs = torch.randn(3, 4, 6)
    settled = fx.symbolic_trace(Windows())
    settle_sizes(settled, (inputs,))

    for n in (1, 3, 5):
        x = torch.randn(n, 4, 6)
        assert torch.equal(settled(x), module(x))
    questions = [node for node in settled.graph.nodes if asks_for_size(node)]
    # What is left: the input's batch, and the number of windows, which depends on it in its own way.
    assert {(node.args[0].op, node.args[1]) for node in questions} == {("placeholder", 0), ("call_function", 0)}


def test_a_network_that_asks_for_nothing_is_not_run() -> None:
    module = fx.symbolic_trace(nn.Sequential(nn.Linear(2, 2)))
    code = module.code
    settle_sizes(module, (torch.zeros(1, 3),))  # an input that the network could not take
    assert module.code == code
