import pytest

from parefront.hardware_profiles.errors import SpaceError
from parefront.spaces.operator_shapes import operator_macs, operator_parts, parse_operator


def test_what_a_choice_says() -> None:
    assert parse_operator("separable") == ("separable", 0)
    assert parse_operator("fire:16") == ("fire", 16)


@pytest.mark.parametrize("choice", ["fire", "fire:0", "fire:a", "pointwise:8", "full", "spatial:8"])
def test_what_is_no_operator_is_refused(choice: str) -> None:
    with pytest.raises(SpaceError, match=r"an operator must be one of pointwise, separable, fire:S .*got"):
        parse_operator(choice)


@pytest.mark.parametrize(
    ("choice", "weights", "macs"),
    [
        # 16 → 25 channels, 3 x 3, stride 2, 10 output positions: 40 positions in front of the stride.
        ("pointwise", [16 * 25], 10 * 16 * 25),
        ("separable", [16 * 9, 16 * 25], 10 * (16 * 9 + 16 * 25)),
        # 13 of the 25 outputs by 1 x 1, 12 by 3 x 3.
        ("fire:8", [16 * 8, 8 * 13, 8 * 12 * 9], 40 * 16 * 8 + 10 * (8 * 13 + 8 * 12 * 9)),
    ],
)
def test_the_layers_of_an_operator_and_their_work(choice: str, weights: list[int], macs: int) -> None:
    assert [part.n_weights((3, 3)) for part in operator_parts(choice, 16, 25)] == weights
    assert operator_macs(choice, 16, 25, (3, 3), (2, 2), 10) == macs
