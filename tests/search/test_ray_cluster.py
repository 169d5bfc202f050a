from typing import Any

import pytest

from parefront.hardware_profiles import HardwareProfile, Host, MeasurementError, SearchError
from parefront.search.ray_cluster import actor_options, check_room, check_worker, connected
from parefront.search.worker import WorkerFacts
from parefront.search.workers import Workers


def node(name: str, is_alive: bool = True, **resources: float) -> dict[str, Any]:
    offered = {key.replace("device_", "device:"): n for key, n in resources.items()}
    return {"NodeManagerAddress": name, "Alive": is_alive, "Resources": {**offered, f"node:{name}": 1.0}}


def test_every_worker_asks_for_its_cores_and_for_no_device() -> None:
    options = actor_options(Workers("digits", 2, n_threads=3))
    assert options["num_cpus"] == 3
    assert "resources" not in options
    assert options["runtime_env"]["env_vars"]["OMP_NUM_THREADS"] == "3"


def test_workers_must_fit_on_the_nodes_together_with_the_device_or_without(fast_profile: HardwareProfile) -> None:
    nodes = [node("a", CPU=5, device_fast=1), node("b", CPU=3), node("c", is_alive=False, CPU=64, device_fast=1)]
    check_room(nodes, Workers("digits", 3, n_threads=2), [fast_profile])
    with pytest.raises(
        SearchError, match=r"4 workers of 2 cores .* one for 3; .*a \(CPU 5, device:fast 1\); b \(CPU 3\): use fewer"
    ):
        check_room(nodes, Workers("digits", 4, n_threads=2), [fast_profile])


def test_a_worker_s_gpu_and_memory_must_find_a_place_too(fast_profile: HardwareProfile) -> None:
    nodes = [node("a", CPU=8, GPU=1, memory=20e9, device_fast=1)]
    check_room(nodes, Workers("digits", 2, n_threads=2, n_gpus=0.5, memory_bytes=10**10), [fast_profile])
    message = (
        r"2 workers of 2 cores, 0\.5 GPUs and 12 GB must find a place, but there is one for 1; .*"
        r"a \(CPU 8, GPU 1, device:fast 1, memory 20 GB\): use fewer workers, or ask for less in the task's resources"
    )
    with pytest.raises(SearchError, match=message):
        check_room(nodes, Workers("digits", 2, n_threads=2, n_gpus=0.5, memory_bytes=12 * 10**9), [fast_profile])


def test_a_device_that_no_node_has_is_named(fast_profile: HardwareProfile) -> None:
    with pytest.raises(
        SearchError, match=r"no node offers device:fast; nodes and resources are a \(CPU 2\); b \(nothing\)"
    ):
        check_room([node("a", CPU=2), node("b")], Workers("digits", 1), [fast_profile])


def test_a_device_that_is_reached_from_anywhere_needs_no_node(fast_profile: HardwareProfile) -> None:
    remote = fast_profile.model_copy(update={"host": Host(address="board:7000")})
    check_room([node("a", CPU=2)], Workers("digits", 2), [remote])


def test_all_workers_must_be_alike() -> None:
    check_worker(WorkerFacts(1, "1.0", {"fast": "key"}), "1.0", {"fast": "key"})
    with pytest.raises(SearchError, match=r"version of parefront, 1\.0, but one has 0\.9"):
        check_worker(WorkerFacts(1, "0.9", {"fast": "key"}), "1.0", {"fast": "key"})
    with pytest.raises(SearchError, match="must measure fast on one machine"):
        check_worker(WorkerFacts(1, "1.0", {"fast": "other"}), "1.0", {"fast": "key"})


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("127.0.0.1:1", SearchError, "Ray at 127.0.0.1:1 must be usable from this machine, but .*refused"),
        ("nowhere", MeasurementError, "an address must be HOST:PORT"),
    ],
)
def test_an_address_where_no_ray_is_is_refused_at_once(
    address: str, error: type[Exception], message: str, fast_profile: HardwareProfile
) -> None:
    with pytest.raises(error, match=message), connected(Workers("digits", 2, address), [fast_profile]):
        pass


def test_a_cluster_of_another_version_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, fast_profile: HardwareProfile
) -> None:
    def init(**options: Any) -> None:
        # In the words of ray._private.utils.check_version_info.
        raise RuntimeError(
            "Version mismatch: The cluster was started with:\n    Ray: 2.1.0\n    Python: 3.10.1\nThis ..."
        )

    monkeypatch.setattr("ray.init", init)
    told = r"Ray at auto must be usable from this machine, but Version mismatch: .* Ray: 2\.1\.0 Python: 3\.10\.1 This"
    with pytest.raises(SearchError, match=told), connected(Workers("digits", 2, "auto"), [fast_profile]):
        pass
