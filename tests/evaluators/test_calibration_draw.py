import torch

from parefront.evaluators.calibration_draw import N_CALIBRATION, draw_calibration
from parefront.training import Split


def split(n: int) -> Split:
    return Split(torch.arange(n, dtype=torch.float32)[:, None], torch.arange(n))


def test_each_sample_is_drawn_at_most_once_and_keeps_its_target() -> None:
    drawn = draw_calibration(split(1000), 3)
    assert len(set(drawn.indices.tolist())) == len(drawn.inputs) == N_CALIBRATION
    assert drawn.inputs[:, 0].tolist() == drawn.targets.tolist() == drawn.indices.tolist()


def test_where_there_are_fewer_all_are_drawn() -> None:
    assert sorted(draw_calibration(split(5), 0).targets.tolist()) == [0, 1, 2, 3, 4]


def test_the_seed_decides() -> None:
    first, second, other = (draw_calibration(split(1000), seed).targets.tolist() for seed in (1, 1, 2))
    assert first == second != other
