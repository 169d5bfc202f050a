from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from parefront.hardware_profiles.errors import TaskError
from parefront.training import Split


def numbered(count: int) -> Split:
    return Split(torch.arange(count, dtype=torch.float32)[:, None], torch.arange(count))


def test_batches_give_every_sample_once_in_order() -> None:
    batches = list(numbered(10).batches(4))
    assert [len(batch.inputs) for batch in batches] == [4, 4, 2]
    assert torch.cat([batch.targets for batch in batches]).tolist() == list(range(10))
    assert torch.cat([batch.indices for batch in batches]).tolist() == list(range(10))


def test_each_pass_gives_every_sample_once_in_a_new_order() -> None:
    batches = list(numbered(12).shuffled_batches(4, n_batches=6, seed=0))
    passes = [torch.cat([batch.targets for batch in batches[start : start + 3]]).tolist() for start in (0, 3)]
    assert [sorted(order) for order in passes] == [list(range(12))] * 2
    assert passes[0] != passes[1]
    for batch in batches:
        assert torch.equal(batch.inputs[:, 0].long(), batch.targets)
        assert torch.equal(batch.indices, batch.targets)


def test_batches_are_full_and_repeat_nothing_within_a_pass() -> None:
    batches = list(numbered(10).shuffled_batches(4, n_batches=4, seed=0))
    assert [len(batch.targets) for batch in batches] == [4] * 4
    for start in (0, 2):  # the two samples left over are in no batch of that pass
        assert len(set(torch.cat([batch.targets for batch in batches[start : start + 2]]).tolist())) == 8


def test_a_batch_larger_than_the_split_is_the_split() -> None:
    batches = list(numbered(3).shuffled_batches(64, n_batches=2, seed=0))
    assert [sorted(batch.targets.tolist()) for batch in batches] == [[0, 1, 2]] * 2


def test_the_seed_sets_the_order() -> None:
    def order(seed: int) -> list[int]:
        return torch.cat([batch.targets for batch in numbered(50).shuffled_batches(10, 5, seed)]).tolist()

    assert order(0) == order(0)
    assert order(0) != order(1)


def test_a_dataset_is_read_into_memory() -> None:
    class Squares(Dataset[tuple[Tensor, int]]):
        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            return torch.full((2,), float(index)), index**2

    split = Split.from_dataset(Squares(), 3)
    assert split.inputs.tolist() == [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]
    assert split.targets.tolist() == [0, 1, 4]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Split(torch.zeros(3, 1), torch.zeros(2)), "got 3 inputs and 2 targets"),
        (lambda: Split(torch.zeros(0, 1), torch.zeros(0)), "at least one, got 0 inputs"),
        (lambda: Split(torch.zeros(3, 1), torch.zeros(3), torch.zeros(2)), r"per input \(3\), got 2"),
    ],
)
def test_lengths_must_agree(make: Callable[[], Split], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        make()
    assert len(Split(torch.zeros(3, 1), torch.zeros(3), torch.zeros(3))) == 3
