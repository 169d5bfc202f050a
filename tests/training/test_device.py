import pytest
import torch

from parefront.training import training_device


@pytest.mark.parametrize(("is_available", "expected"), [(True, "cuda"), (False, "cpu")])
def test_a_gpu_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch, is_available: bool, expected: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: is_available)
    assert training_device() == expected
