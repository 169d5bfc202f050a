import copy
from collections.abc import Callable

import torch
from torch import Tensor, fx, nn

from parefront.spaces import trace
from parefront.spaces.layer_parts import output_parts, replace_by_parts, share_among_parts


def traced(*layers: nn.Module) -> fx.GraphModule:
    return copy.deepcopy(trace(nn.Sequential(*layers), torch.zeros(2, 4, 7, 7)).module)


def outputs(module: nn.Module) -> Tensor:
    with torch.no_grad():
        return module.eval()(torch.randn(2, 4, 7, 7, generator=torch.Generator().manual_seed(0)))


def cut(conv: nn.Conv2d, first: int) -> list[nn.Module]:
    """A layer that hands its inputs on, and the layer's first channels and its others."""
    through = nn.Conv2d(conv.in_channels, conv.in_channels, 1, bias=False)
    parts = [through, copy.deepcopy(conv), copy.deepcopy(conv)]
    with torch.no_grad():
        through.weight.copy_(torch.eye(conv.in_channels)[:, :, None, None])
        for part, channels in zip(parts[1:], (slice(None, first), slice(first, None)), strict=True):
            part.weight = nn.Parameter(conv.weight[channels])
            part.bias = nn.Parameter(conv.bias[channels])
            part.out_channels = len(part.weight)
    return parts


def called(module: fx.GraphModule) -> list[str]:
    return [str(node.target) for node in module.graph.nodes if node.op == "call_module"]


def test_layers_side_by_side_give_what_the_layer_gave(randomise: Callable[..., nn.Module]) -> None:
    conv = nn.Conv2d(4, 5, 3, padding=1)
    module = traced(nn.ReLU(), conv, randomise(nn.Sequential(nn.BatchNorm2d(5)))[0], nn.ReLU())
    expected = outputs(module)
    replace_by_parts(module, "1", cut(conv, 3), n_beside=2)
    module.recompile()
    torch.testing.assert_close(outputs(module), expected, rtol=1e-5, atol=1e-6)
    # Each has a BatchNorm of its own, that it can take in.
    assert called(module) == ["0", "1.0", "1.1", "1.2", "1.norm1", "1.norm2", "3"]
    assert [module.get_submodule(f"1.norm{i}").num_features for i in (1, 2)] == [3, 2]
    assert output_parts(module, "1") == ("1.1", "1.2")
    assert share_among_parts(module, "1", 5) == {"1.1": 3, "1.2": 2}
    assert "2" not in dict(module.named_modules())


def test_a_norm_that_is_not_theirs_alone_stays_behind_them() -> None:
    conv, norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
    module = traced(conv, norm, nn.ReLU(), norm)
    expected = outputs(module)
    replace_by_parts(module, "0", cut(conv, 2), n_beside=2)
    module.recompile()
    torch.testing.assert_close(outputs(module), expected, rtol=1e-5, atol=1e-6)
    assert called(module) == ["0.0", "0.1", "0.2", "1", "2", "1"]


def test_layers_in_a_row_are_nodes_of_the_graph() -> None:
    module = traced(nn.Conv2d(4, 5, 3), nn.ReLU())
    replace_by_parts(module, "0", [nn.Conv2d(4, 2, 3), nn.Conv2d(2, 5, 1)])
    module.recompile()
    assert called(module) == ["0.0", "0.1", "1"]
    assert output_parts(module, "0") == ("0.1",)
    assert share_among_parts(module, "0", 5) == {"0.1": 5}


def test_one_layer_takes_the_place_of_another() -> None:
    module = traced(nn.Conv2d(4, 5, 3), nn.ReLU())
    replace_by_parts(module, "0", [nn.Conv2d(4, 5, 1)])
    assert called(module) == ["0", "1"]
    assert output_parts(module, "0") == ("0",)
    assert outputs(module).shape == (2, 5, 7, 7)
