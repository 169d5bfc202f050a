from collections.abc import Iterator

import pytest

from parefront.evaluators import Workbench
from parefront.evaluators.by_hand import compress_by_hand
from parefront.hardware_profiles import HardwareProfile
from parefront.spaces import Configuration
from parefront.tasks import Task


@pytest.fixture
def bench(
    tiny_task: Task, fast_profile: HardwareProfile, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workbench]:
    bench = Workbench(tiny_task, fast_profile, tmp_path_factory.mktemp("artefacts"), seed=0)
    yield bench
    bench.close()


def narrow(bench: Workbench) -> Configuration:
    return bench.space.canonical({"prune/hidden": 8})


def test_a_structure_has_no_accuracy(bench: Workbench) -> None:
    found = compress_by_hand(bench, narrow(bench), "structure")
    for evaluation in (found.baseline, found.candidate):
        assert set(evaluation.scores) - {"memory_bytes", "energy_mj"} == {"latency_ms", "size_bytes", "macs"}
    # 24 of 32 outputs of the hidden layer are gone, and as many inputs of the classifier.
    assert found.baseline.scores["macs"].value - found.candidate.scores["macs"].value == 256 * 24 + 24 * 4


def test_a_fine_tuned_one_is_verified_and_paired_with_the_better_baseline(bench: Workbench) -> None:
    found = compress_by_hand(bench, narrow(bench), "short")
    assert found.candidate.is_verified is True
    assert found.baseline.scores["accuracy_drop"].value == 0
    accuracy, drop = (found.candidate.scores[name].value for name in ("accuracy", "accuracy_drop"))
    assert drop == pytest.approx(found.baseline.scores["accuracy"].value - accuracy)
    test, test_drop = (found.candidate.scores[name].value for name in ("test_accuracy", "test_drop"))
    assert test_drop == pytest.approx(found.baseline.scores["test_accuracy"].value - test)
