import pytest

from parefront.hardware_profiles.errors import TaskError
from parefront.tasks import Resources


def test_what_is_not_said_is_shared_out() -> None:
    assert Resources() == Resources(cpus=None, gpus=0.0, memory_bytes=None)
    assert Resources(cpus=4, gpus=0.5, memory_bytes=10**9).gpus == 0.5
    assert Resources(gpus=2).gpus == 2


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"cpus": 0}, "resources.cpus must be a whole number of 1 or more, got 0: "),
        ({"cpus": 1.5}, "resources.cpus must be a whole number of 1 or more, got 1.5: "),
        ({"gpus": -1}, "resources.gpus must be a part of one GPU or a whole number, got -1: "),
        ({"gpus": 1.5}, "resources.gpus must be a part of one GPU or a whole number, got 1.5: "),
        ({"memory_bytes": 0}, "resources.memory_bytes must be above 0, got 0: "),
    ],
)
def test_what_no_worker_could_take_is_refused(asked: dict[str, int], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        Resources(**asked)
