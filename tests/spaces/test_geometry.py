"""Sizes of merged layers: K = k1 + s1 (k2 - 1), stride s1 s2, padding p1 + s1 p2 (METHODS section 6)."""

import pytest
from torch import nn

from parefront.spaces.geometry import Geometry


def conv(kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1) -> Geometry:
    return Geometry(8, 8, (kernel,), (stride,), (padding,), (dilation,), groups)


@pytest.mark.parametrize(
    ("layers", "merged"),
    [
        ((conv(3, 1, 1), conv(3, 1, 1)), conv(5, 1, 2)),
        ((conv(3, 2, 1), conv(3, 1, 1)), conv(7, 2, 3)),
        ((conv(3, 1, 1), conv(3, 2, 1)), conv(5, 2, 2)),
        # (3 + 2 (3 - 1)) = 7, 7 + 4 (3 - 1) = 15; paddings 1 + 2 * 1 + 4 * 1 = 7.
        ((conv(3, 2, 1), conv(3, 2, 1), conv(3, 1, 1)), conv(15, 4, 7)),
        # Both spread their taps by 2: three taps and three become five, two pixels apart.
        ((conv(3, 1, 2, 2), conv(3, 1, 2, 2)), conv(5, 1, 4, 2)),
        ((conv(3, 1, 2, 2), conv(1)), conv(3, 1, 2, 2)),
        ((conv(1), conv(3, 1, 3, 3)), conv(3, 1, 3, 3)),
        # Taps at 0, 2, 4 plus 0, 1, 2: all of 0..6.
        ((conv(3, 1, 2, 2), conv(3, 1, 1)), conv(7, 1, 3)),
        # At 0, 4, 8 plus 0, 6, 12: even numbers up to 20.
        ((conv(3, dilation=4), conv(3, dilation=6)), conv(11, dilation=2)),
        ((conv(1), conv(1)), conv(1)),
        ((conv(3, groups=8), conv(3, groups=8)), conv(5, groups=8)),
        ((conv(3, groups=8), conv(1)), conv(3)),
        ((conv(1, groups=2), conv(1, groups=4)), conv(1, groups=2)),
    ],
)
def test_one_after_the_other(layers: tuple[Geometry, ...], merged: Geometry) -> None:
    first, *others = layers
    for other in others:
        first = first.then(other)
    assert first == merged


def test_the_weights_are_counted() -> None:
    assert conv(3).n_weights == 8 * 8 * 3
    assert conv(3, groups=8).n_weights == 8 * 3
    assert Geometry(7, 5).n_weights == 35


def test_dilation_widens_the_extent() -> None:
    assert conv(3, dilation=4).extent == (9,)
    assert conv(1, dilation=4).extent == (1,)


@pytest.mark.parametrize(
    ("geometry", "is_centred"),
    [
        (conv(3, 1, 1), True),
        (conv(3, 2, 1), True),
        (conv(3, 1, 2, 2), True),
        (conv(1), True),
        (conv(3, 1, 0), False),
        (conv(3, 1, 2), False),
        (conv(2, 1, 1, 2), False),  # 2 pixels apart: the middle one is between the two taps
        (Geometry(4, 4), True),
    ],
)
def test_the_middle_tap_stands_over_the_output(geometry: Geometry, is_centred: bool) -> None:
    assert geometry.is_centred is is_centred
    if is_centred and geometry.kernel:
        assert geometry.centre[0] * geometry.dilation[0] == geometry.padding[0]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(3, 5),
        nn.Conv1d(4, 6, 3, 2, 1, 2, 2),
        nn.Conv2d(4, 6, (3, 1), (2, 1), (1, 0), groups=2, bias=False),
        nn.Conv3d(4, 6, (3, 1, 5), (1, 2, 1), (1, 0, 2)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_is_built_from_its_geometry(layer: nn.Conv2d | nn.Linear) -> None:
    built = Geometry.of(layer).build(bias=layer.bias is not None)
    assert type(built) is type(layer)
    assert str(built) == str(layer)
    assert built.weight.shape == layer.weight.shape
