import pytest

from parefront.search.worker_requests import n_places, ray_requests, requests_in_words
from parefront.search.workers import Workers

GB = 10**9


def test_a_worker_asks_for_what_its_task_needs() -> None:
    assert ray_requests(Workers("digits", 2, n_threads=3)) == {"num_cpus": 3, "num_gpus": 0.0}
    asked = ray_requests(Workers("digits", 2, n_threads=1, n_gpus=0.5, memory_bytes=4 * GB))
    assert asked == {"num_cpus": 1, "num_gpus": 0.5, "memory": 4 * GB}


@pytest.mark.parametrize(
    ("n_threads", "n_gpus", "memory_gb", "n"),
    [
        (1, 0.0, None, 8),
        (3, 0.0, None, 2),
        (9, 0.0, None, 0),
        (1, 1.0, None, 2),
        (1, 2.0, None, 1),
        (1, 0.4, None, 4),  # two on each: 0.2 of both are left
        (1, 0.0, 7, 2),
        (2, 0.5, 4, 4),
    ],
)
def test_places_on_a_node_are_those_of_what_is_scarcest(
    n_threads: int, n_gpus: float, memory_gb: int | None, n: int
) -> None:
    memory_bytes = None if memory_gb is None else memory_gb * GB
    workers = Workers("digits", 1, n_threads=n_threads, n_gpus=n_gpus, memory_bytes=memory_bytes)
    assert n_places({"CPU": 8, "GPU": 2, "memory": 20.0 * GB}, workers) == n


def test_a_node_without_something_has_no_place_for_who_needs_it() -> None:
    assert n_places({}, Workers("digits", 1)) == 0
    assert n_places({"CPU": 8}, Workers("digits", 1, n_gpus=0.1)) == 0
    assert n_places({"CPU": 8}, Workers("digits", 1, memory_bytes=1)) == 0


def test_what_is_asked_for_in_words() -> None:
    assert requests_in_words(Workers("digits", 1, n_threads=1)) == "1 core"
    assert requests_in_words(Workers("digits", 1, n_threads=2)) == "2 cores"
    workers = Workers("digits", 1, n_threads=2, n_gpus=0.5, memory_bytes=4_500_000_000)
    assert requests_in_words(workers) == "2 cores, 0.5 GPUs and 4.5 GB"
