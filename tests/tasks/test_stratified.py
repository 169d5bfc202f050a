import torch

from parefront.tasks.stratified import stratified_order

# 60 of one class, 30 of another, 10 of a third.
CLASSES = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)


def test_every_sample_comes_once() -> None:
    assert sorted(stratified_order(CLASSES, 0).tolist()) == list(range(100))


def test_every_run_holds_the_classes_in_their_shares() -> None:
    order = CLASSES[stratified_order(CLASSES, 0)]
    for start in range(0, 100, 20):
        counts = torch.bincount(order[start : start + 20], minlength=3)
        # Spread evenly, a class of share p has p * 20 among 20 neighbours, one more or less.
        assert (counts - torch.tensor([12, 6, 2])).abs().max() <= 1


def test_the_seed_decides() -> None:
    assert stratified_order(CLASSES, 3).equal(stratified_order(CLASSES, 3))
    assert not stratified_order(CLASSES, 3).equal(stratified_order(CLASSES, 4))
