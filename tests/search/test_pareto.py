import itertools
import math
import random

import numpy as np
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
    for n_objectives in (1, 2, 3, 4, 5):
        # Few distinct values, so that ties and duplicates are common.
        points = [tuple(float(generator.randrange(5)) for _ in range(n_objectives)) for _ in range(60)]
        expected = {point for point in points if not any(dominates(other, point) for other in points)}
        chosen = non_dominated(points)
        assert {points[i] for i in chosen} == expected
        assert len(chosen) == len(expected)
        assert [points.index(points[i]) for i in chosen] == chosen  # of equal points the first, in order


def test_the_front_of_an_array() -> None:
    assert non_dominated(np.array([[2.0, 2.0], [1.0, 3.0], [3.0, 3.0]])) == [0, 1]
    assert non_dominated(np.empty((0, 2))) == []


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


@pytest.mark.parametrize(
    ("points", "reference", "expected"),
    [
        # The documentation of moocore.
        ([(5, 5), (4, 6), (2, 7), (7, 4)], (10, 10), 38.0),
        # The tests of pagmo, in two, three and five objectives.
        ([(2.3, 4.5), (3.4, 3.4), (6.0, 1.2)], (7, 7), 17.91),
        ([(2.3, 4.5, 3.2), (3.4, 3.4, 3.4), (6.0, 1.2, 3.6)], (7, 7, 7), 66.386),
        (
            [(2.3, 4.5, 3.2, 1.9, 6.0), (3.4, 3.4, 3.4, 2.1, 5.8), (6.0, 1.2, 3.6, 3.0, 6.0)],
            (7, 7, 7, 7, 7),
            373.21228,
        ),
        ([(1, 1, 1, 3), (2, 2, 2, 3)], (3, 3, 3, 3), 0.0),  # on the reference's border
        # The tests of jMetalPy and of moarchiving.
        ([(1, 0, 1), (0, 1, 0)], (2, 2, 2), 5.0),
        ([(1, 2, 3), (2, 3, 1), (3, 1, 2)], (4, 4, 4), 13.0),
        ([(0, 1, 2, 3), (1, 2, 3, 0), (2, 3, 0, 1), (3, 0, 1, 2)], (4, 4, 4, 4), 71.0),
    ],
)
def test_published_hypervolumes(points: list[Point], reference: Point, expected: float) -> None:
    assert hypervolume(points, reference) == pytest.approx(expected, rel=1e-12)
    assert hypervolume(np.array(points), reference) == pytest.approx(expected, rel=1e-12)


def lattice(n: int, n_objectives: int) -> list[Point]:
    """All points of whole coordinates from 0 that sum to n: evenly on the front of DTLZ1, times 2 n."""
    bars = itertools.combinations(range(n + n_objectives - 1), n_objectives - 1)
    edges = ((-1, *each, n + n_objectives - 1) for each in bars)
    return [tuple(float(b - a - 1) for a, b in itertools.pairwise(each)) for each in edges]


@pytest.mark.parametrize(
    ("n", "n_objectives", "n_points"),
    [(3, 1, 1), (9_999, 2, 10_000), (7, 3, 36), (140, 3, 10_011), (5, 4, 56), (12, 4, 455), (4, 5, 70)],
)
def test_hypervolume_of_the_simplex_lattice(n: int, n_objectives: int, n_points: int) -> None:
    # Of the unit cells of the box [0, n + 1]^m those are not dominated whose lowest corner sums to less than n.
    points = lattice(n, n_objectives)
    assert len(non_dominated(points)) == len(points) == n_points
    expected = (n + 1) ** n_objectives - math.comb(n - 1 + n_objectives, n_objectives)
    assert hypervolume(points, (n + 1.0,) * n_objectives) == pytest.approx(expected, rel=1e-12)


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


@pytest.mark.parametrize("n_objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("has_ties", [False, True])
def test_hypervolume_is_the_union_of_boxes(n_objectives: int, has_ties: bool) -> None:
    generator = random.Random(n_objectives)
    reference = (1.0,) * n_objectives
    for _ in range(20):
        points = [tuple(generator.uniform(0, 1.2) for _ in range(n_objectives)) for _ in range(7)]
        if has_ties:  # duplicates too, and points on the reference
            points = [tuple(round(3 * x) / 3 for x in point) for point in points]
        assert hypervolume(points, reference) == pytest.approx(inclusion_exclusion(points, reference))


def test_points_and_reference_of_different_lengths_are_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"must have the 3 objectives of the reference, got shape \(1, 2\)"):
        hypervolume([(1.0, 2.0)], (3.0, 3.0, 3.0))
    with pytest.raises(ValueError, match="must have the 3 objectives"):
        hypervolume_gain((1.0, 2.0), [], (3.0, 3.0, 3.0))


def test_what_is_not_a_number_adds_nothing() -> None:
    assert hypervolume([(math.nan, 0.0), (0.0, math.inf), (1.0, 1.0)], (2.0, 2.0)) == 1.0
    assert hypervolume_gain((math.nan, 0.0), [(1.0, 1.0)], (2.0, 2.0)) == 0.0


@pytest.mark.parametrize("n_objectives", [1, 2, 3, 4])
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
