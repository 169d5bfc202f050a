import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from parefront.search import gains
from parefront.search.gains import GainBoxes, batch_gains
from parefront.search.pareto import Point, hypervolume

STEPS: list[Point] = [(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]


def test_gains_by_hand() -> None:
    boxes = GainBoxes([(1.0, 3.0), (3.0, 1.0)], (4.0, 4.0))
    candidates = np.array(
        [
            (2.0, 2.0),  # the square up to (3, 3)
            (2.0, 1.0),  # two squares more than a square: (2, 1) to (3, 3)
            (0.0, 0.0),  # all of the 4 x 4 but the 3 + 3 - 1 that the two hold
            (-1.0, 3.5),  # better than all in one objective: 2 x .5
            (1.0, 3.0),  # a member
            (3.0, 3.0),  # dominated
            (0.0, 4.0),  # not below the reference
            (np.inf, 0.0),
        ]
    )
    expected = [1.0, 2.0, 11.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert boxes.gains(candidates).tolist() == expected


@pytest.mark.parametrize("n_objectives", [1, 2, 3, 4])
def test_beside_an_empty_front_a_candidate_gains_its_own_box(n_objectives: int) -> None:
    boxes = GainBoxes([], (3.0,) * n_objectives)
    assert len(boxes) == 1
    assert boxes.gains(np.ones((1, n_objectives))).tolist() == [2.0**n_objectives]


def test_gains_keep_the_shape_of_the_candidates() -> None:
    boxes = GainBoxes([(1.0, 3.0), (3.0, 1.0)], (4.0, 4.0))
    candidates = np.array([[(2.0, 2.0), (2.0, 1.0), (3.0, 3.0)], [(1.0, 3.0), (-1.0, 3.5), (0.0, 0.0)]])
    assert boxes.gains(candidates).tolist() == [[1.0, 2.0, 0.0], [0.0, 1.0, 11.0]]
    assert boxes.gains(candidates[0, 0]).shape == ()
    assert boxes.gains(np.empty((0, 5, 2))).shape == (0, 5)


def test_gains_of_many_candidates_are_worked_out_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = GainBoxes(STEPS, (4.0, 4.0))
    monkeypatch.setattr(gains, "CHUNK", 8)  # two candidates times four boxes
    candidates = np.array([(4.0 - width, 3.0) for width in range(5)])
    assert boxes.gains(candidates).tolist() == [0.0, 0.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("points", "reference", "expected"),
    [
        # The documentation of moocore.
        ([(5, 5), (4, 6), (2, 7), (7, 4)], (10, 10), [2, 1, 6, 3]),
        # The tests of pagmo.
        (
            [(-6, -1, -6), (-1, -3, -5), (-3, -4, -4), (-4, -2, -3), (-5, -5, -2), (-2, -6, -1)],
            (0, 0, 0),
            [18, 2, 12, 1, 18, 2],
        ),
        ([(1, 1, 1, 1), (4, 4, 4, 4)], (5, 5, 5, 5), [255, 0]),
        # The tests of moarchiving.
        (list(itertools.permutations((1, 2, 3, 4))), (5, 5, 5, 5), [1] * 24),
    ],
)
def test_published_contributions(points: list[Point], reference: Point, expected: list[float]) -> None:
    for i, point in enumerate(points):
        others = GainBoxes([*points[:i], *points[i + 1 :]], reference)
        assert others.gains(np.array(point)) == pytest.approx(expected[i], abs=1e-12)


def draw(generator: np.random.Generator, shape: tuple[int, ...], has_ties: bool) -> NDArray[np.float64]:
    """Around the box from 0 to 4; with ties also duplicates and points on the reference."""
    return generator.integers(-1, 6, shape).astype(float) if has_ties else generator.uniform(-0.5, 4.5, shape)


@pytest.mark.parametrize("n_objectives", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("has_ties", [False, True])
def test_gains_are_differences_of_hypervolumes(n_objectives: int, has_ties: bool) -> None:
    generator = np.random.default_rng(n_objectives)
    reference = (4.0,) * n_objectives
    for _ in range(30):
        points = draw(generator, (int(generator.integers(0, 15)), n_objectives), has_ties).clip(0.0)
        candidates = draw(generator, (12, n_objectives), has_ties)
        before = hypervolume(points, reference)
        differences = [hypervolume(np.vstack([points, each]), reference) - before for each in candidates]
        found = GainBoxes(points, reference).gains(candidates)
        assert found == pytest.approx(differences, rel=1e-9, abs=1e-9)
        assert (found >= 0).all()


@pytest.mark.parametrize("has_ties", [False, True])
def test_members_can_be_added_later(has_ties: bool) -> None:
    generator = np.random.default_rng(0)
    reference = (4.0, 4.0, 4.0)
    points = draw(generator, (12, 3), has_ties)
    candidates = draw(generator, (50, 3), has_ties)
    boxes = GainBoxes(points[:4], reference)
    for point in points[4:]:  # some are dominated, some dominate members
        boxes.add(tuple(point))
    assert boxes.gains(candidates) == pytest.approx(GainBoxes(points, reference).gains(candidates), abs=1e-9)
    boxes.add((-2.0, -2.0, -2.0))
    assert boxes.gains(candidates).tolist() == [0.0] * 50


def test_a_front_without_ties_makes_as_many_boxes_as_published() -> None:
    for n in (1, 5, 30):
        x = (np.arange(n) + 1.0) / (n + 1)
        assert len(GainBoxes(np.stack([x, 1 - x], axis=1), (1.0, 1.0))) == n + 1
    directions = np.abs(np.random.default_rng(0).normal(size=(40, 3)))
    sphere = 1 - directions / np.linalg.norm(directions, axis=1, keepdims=True)
    assert len(GainBoxes(sphere, (1.0, 1.0, 1.0))) == 2 * 40 + 1


def test_with_too_many_boxes_the_members_that_add_least_are_left_out() -> None:
    # Alone the middle holds 4, the others 3 each; the three together make four boxes, the middle alone two.
    boxes = GainBoxes(STEPS, (4.0, 4.0), max_boxes=2)
    assert boxes.n_left_out == 2
    assert boxes.gains(np.array([(2.0, 2.0), (1.0, 3.0), (1.0, 1.0)])).tolist() == [0.0, 1.0, 5.0]
    exact = GainBoxes(STEPS, (4.0, 4.0), max_boxes=4)
    assert exact.n_left_out == 0
    assert exact.gains(np.array([(2.0, 2.0), (1.0, 3.0), (1.0, 1.0)])).tolist() == [0.0, 0.0, 3.0]


def test_gains_beside_a_thinned_front_are_upper_bounds() -> None:
    directions = np.abs(np.random.default_rng(1).normal(size=(60, 4)))
    sphere = 1 - directions / np.linalg.norm(directions, axis=1, keepdims=True)
    reference = (1.0,) * 4
    thinned = GainBoxes(sphere, reference, max_boxes=100)
    assert 0 < thinned.n_left_out < 60
    assert len(thinned) <= 200
    candidates = sphere[:, None] + np.random.default_rng(2).normal(0, 0.1, (60, 8, 4))
    assert (thinned.gains(candidates) >= GainBoxes(sphere, reference).gains(candidates) - 1e-12).all()


def test_a_batch_is_spread_out() -> None:
    # The first two are nearly one: beside either the other adds little, so the third comes second.
    samples = np.array([[(2.0, 2.0)], [(2.0, 2.1)], [(3.5, 0.0)]])
    boxes = GainBoxes([], (4.0, 4.0))
    chosen = batch_gains(samples, boxes, 3)
    assert [position for position, _ in chosen] == [0, 2, 1]
    assert [gain for _, gain in chosen] == pytest.approx([4.0, 1.0, 0.0])
    assert len(boxes) == 1  # left as it was


def test_a_batch_goes_by_the_mean_gain_and_adds_the_mean_point() -> None:
    samples = np.array(
        [
            [(1.0, 1.0), (5.0, 5.0)],  # 9 or nothing
            [(2.0, 2.0), (2.0, 2.0)],  # 4 for certain
        ]
    )
    # The first counts at (3, 3) when the second is judged beside it: 4 - 1.
    assert batch_gains(samples, GainBoxes([], (4.0, 4.0)), 2) == [(0, 4.5), (1, 3.0)]
    # Believed to be at (1, 1), it leaves nothing to the second.
    assert batch_gains(samples, GainBoxes([], (4.0, 4.0)), 2, believed=samples[:, 0]) == [(0, 4.5), (1, 0.0)]


@pytest.mark.parametrize("n_objectives", [2, 3])
def test_a_batch_is_the_greedy_one(n_objectives: int) -> None:
    generator = np.random.default_rng(3)
    reference = (4.0,) * n_objectives
    front = list(draw(generator, (6, n_objectives), has_ties=False))
    samples = generator.uniform(0, 4, (80, 1, n_objectives)) + generator.normal(0, 0.3, (80, 3, n_objectives))
    chosen = batch_gains(samples, GainBoxes(np.array(front), reference), 6)
    taken: list[int] = []
    for position, gain in chosen:
        expected = GainBoxes(np.array(front), reference).gains(samples).mean(axis=1)
        expected[taken] = 0.0  # what varies more than its mean says could be worth a second place
        assert gain == pytest.approx(expected.max())
        assert expected[position] == pytest.approx(expected.max())
        front.append(samples[position].mean(axis=0))
        taken.append(position)
    assert len(set(taken)) == 6


def test_a_batch_is_never_larger_than_the_choice() -> None:
    boxes = GainBoxes([(0.0, 0.0)], (4.0, 4.0))
    samples = np.array([[(1.0, 1.0)], [(2.0, 2.0)]])
    assert batch_gains(samples, boxes, 5) == [(0, 0.0), (1, 0.0)]
    assert batch_gains(samples, boxes, 0) == []
    assert batch_gains(np.empty((0, 4, 2)), boxes, 3) == []


def test_points_that_no_gain_can_be_told_for() -> None:
    boxes = GainBoxes(STEPS, (4.0, 4.0))
    with pytest.raises(ValueError, match=r"points must have 2 objectives, got shape \(1, 3\)"):
        boxes.gains(np.ones((1, 3)))
    for bad in (np.nan, -np.inf):
        with pytest.raises(ValueError, match="points must be numbers above minus infinity"):
            boxes.gains(np.array([(1.0, bad)]))
        with pytest.raises(ValueError, match="points must be numbers above minus infinity"):
            boxes.add((1.0, bad))
    with pytest.raises(ValueError, match="points must be numbers above minus infinity"):
        GainBoxes([(1.0, -np.inf)], (4.0, 4.0))
    with pytest.raises(ValueError, match="must have the 2 objectives of the reference"):
        GainBoxes([(1.0, 1.0, 1.0)], (4.0, 4.0))


def test_of_many_candidates_that_gain_nothing_each_is_taken_once() -> None:
    boxes = GainBoxes([(1.0, 1.0)], (4.0, 4.0))
    picked = batch_gains(np.full((600, 1, 2), 2.0), boxes, 50)
    assert len({position for position, _ in picked}) == 50
    assert {gain for _, gain in picked} == {0.0}
