import torch

from parefront.tasks import classification_hits


def test_hits_by_hand() -> None:
    outputs = torch.tensor([[1.0, 2.0, 0.0], [3.0, 1.0, 2.0], [0.0, 0.0, 5.0]])
    assert classification_hits(outputs, torch.tensor([1, 2, 2])).tolist() == [1.0, 0.0, 1.0]
