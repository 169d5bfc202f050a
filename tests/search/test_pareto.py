import random

import pytest

from parefront.search.pareto import Point, dominates, hypervolume, hypervolume_gain, non_dominated


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((1.0, 2.0), (2.0, 3.0), True),
        ((1.0, 2.0), (1.0, 3.0), True),
        ((1.0, 2.0), (1.0, 2.0), False),
        ((1.0, 3.0), (2.0, 2.0), False),
        ((2.0, 3.0), (1.0, 2.0), False),
        ((1.0, 1.0, 1.0), (1.0, 1.0, 1.5), True),
    ],
)
def test_dominance_by_hand(a: Point, b: Point, expected: bool) -> None:
    assert dominates(a, b) is expected


def test_points_of_different_lengths_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="zip"):
        dominates((1.0, 2.0), (1.0,))


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], []),
        ([(1.0, 1.0)], [0]),
        ([(2.0, 2.0), (1.0, 3.0), (3.0, 1.0), (3.0, 3.0)], [0, 1, 2]),
        ([(1.0, 2.0), (1.0, 1.0), (2.0, 1.0)], [1]),  # ties in one objective
        ([(1.0, 1.0), (0.0, 2.0), (1.0, 1.0)], [0, 1]),  # of equal points the first
        ([(3.0, 0.0, 0.0), (0.0, 3.0, 0.0), (0.0, 0.0, 3.0), (1.0, 1.0, 1.0), (1.0, 1.0, 2.0)], [0, 1, 2, 3]),
    ],
)
def test_the_front_by_hand(points: list[Point], expected: list[int]) -> None:
    assert non_dominated(points) == expected


def test_the_front_is_what_no_other_point_dominates() -> None:
    generator = random.Random(0)
    for n_objectives in (2, 3):
        # Few distinct values, so that ties and duplicates are common.
        points = [tuple(float(generator.randrange(5)) for _ in range(n_objectives)) for _ in range(60)]
        expected = {point for point in points if not any(dominates(other, point) for other in points)}
        chosen = non_dominated(points)
        assert {points[i] for i in chosen} == expected
        assert len(chosen) == len(expected)


@pytest.mark.parametrize(
    ("points", "reference", "expected"),
    [
        ([], (1.0, 1.0), 0.0),
        ([(0.25,), (0.5,)], (1.0,), 0.75),
        ([(0.0, 0.0)], (2.0, 3.0), 6.0),
        # Steps: 3 x 1 + 2 x 1 + 1 x 1 below (4, 4).
        ([(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)], (4.0, 4.0), 3.0 + 2.0 + 1.0),
        ([(1.0, 3.0), (2.0, 2.0), (3.0, 1.0), (3.0, 3.0), (2.0, 2.0)], (4.0, 4.0), 6.0),
        ([(4.0, 0.0), (0.0, 5.0), (9.0, 9.0)], (4.0, 4.0), 0.0),  # none is below the reference in both
        ([(-1.0, 2.0)], (0.0, 4.0), 2.0),
        ([(0.0, 0.0, 0.0)], (1.0, 2.0, 3.0), 6.0),
        # Two boxes of 2 x 2 x 1 and 1 x 1 x 2 that share 1 x 1 x 1.
        ([(0.0, 0.0, 1.0), (1.0, 1.0, 0.0)], (2.0, 2.0, 2.0), 4.0 + 2.0 - 1.0),
        # Three slabs of 1 x 2 x 2 from each side: 3 x 4 - 3 x 2 + 1.
        ([(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)], (2.0, 2.0, 2.0), 7.0),
        ([(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 1.0, 1.0)], (2.0, 2.0, 2.0), 7.0),
        # Equal in the sliced objective.
        ([(0.0, 1.0, 0.0), (1.0, 0.0, 0.0)], (2.0, 2.0, 1.0), 3.0),
    ],
)
def test_hypervolume_by_hand(points: list[Point], reference: Point, expected: float) -> None:
    assert hypervolume(points, reference) == pytest.approx(expected)
    assert hypervolume(points[::-1], reference) == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 4, 25])
def test_hypervolume_of_the_linear_front(n: int) -> None:
    # DTLZ1's front in two objectives is the line f1 + f2 = .5. With n + 1 points evenly on it, below (.5, .5), the
    # triangle of .125 lacks n little ones of (.5 / n)² / 2.
    points = [(0.5 * i / n, 0.5 - 0.5 * i / n) for i in range(n + 1)]
    assert hypervolume(points, (0.5, 0.5)) == pytest.approx(0.125 - n * (0.5 / n) ** 2 / 2)


def inclusion_exclusion(points: list[Point], reference: Point) -> float:
    """The union of boxes by its definition: sums and differences over all subsets."""
    total = 0.0
    for subset in range(1, 1 << len(points)):
        members = [point for i, point in enumerate(points) if subset >> i & 1]
        volume = 1.0
        for axis, corner in enumerate(reference):
            volume *= max(0.0, corner - max(point[axis] for point in members))
        total += volume if len(members) % 2 else -volume
    return total


@pytest.mark.parametrize("n_objectives", [2, 3, 4])
def test_hypervolume_is_the_union_of_boxes(n_objectives: int) -> None:
    generator = random.Random(n_objectives)
    reference = (1.0,) * n_objectives
    for _ in range(20):
        points = [tuple(generator.uniform(0, 1.2) for _ in range(n_objectives)) for _ in range(7)]
        assert hypervolume(points, reference) == pytest.approx(inclusion_exclusion(points, reference))


@pytest.mark.parametrize("n_objectives", [2, 3])
def test_the_gain_is_the_difference_of_hypervolumes(n_objectives: int) -> None:
    generator = random.Random(n_objectives)
    reference = (1.0,) * n_objectives
    for _ in range(50):
        points = [tuple(generator.uniform(-0.2, 1.2) for _ in range(n_objectives)) for _ in range(12)]
        point = tuple(generator.uniform(-0.2, 1.1) for _ in range(n_objectives))
        difference = hypervolume([*points, point], reference) - hypervolume(points, reference)
        assert hypervolume_gain(point, points, reference) == pytest.approx(difference, abs=1e-12)


def test_a_gain_by_hand() -> None:
    points = [(1.0, 3.0), (3.0, 1.0)]
    assert hypervolume_gain((2.0, 2.0), points, (4.0, 4.0)) == pytest.approx(1.0)
    assert hypervolume_gain((3.0, 3.0), points, (4.0, 4.0)) == pytest.approx(0.0)
    assert hypervolume_gain((1.0, 3.0), points, (4.0, 4.0)) == pytest.approx(0.0)
    assert hypervolume_gain((5.0, 0.0), points, (4.0, 4.0)) == 0.0
    assert hypervolume_gain((2.0, 2.0), [], (4.0, 4.0)) == pytest.approx(4.0)
