from collections.abc import Callable, Iterator

import pytest
import torch

from .conftest import Exported, inputs


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_an_inference_has_its_sessions_threads(export: Callable[..., Exported]) -> None:
    exported = export("torch")
    one, two = (exported.runtime.open_session(exported.path, n) for n in (1, 2))

    for session, n_threads in ((one, 1), (two, 2), (one, 1)):
        session.run(inputs(1).numpy())
        assert torch.get_num_threads() == n_threads


def test_operators_have_their_names_in_aten(export: Callable[..., Exported]) -> None:
    exported = export("torch")
    times = exported.runtime.profile_operators(exported.path, inputs(1).numpy(), 1, 3)
    named = [(time.layer, time.operator) for time in times if time.layer is not None]
    assert named == [("conv1", "aten.conv2d"), ("conv2", "aten.conv2d"), ("fc", "aten.linear")]
