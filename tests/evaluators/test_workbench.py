"""One configuration on a real network: every score against what the files themselves say."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from parefront.evaluators import CostTables, Inheritance, Workbench, candidate_networks, device, devices
from parefront.evaluators.deploy import MAX_INT8_ERROR, Parity
from parefront.evaluators.kept_network import KeptNetwork
from parefront.hardware_profiles import ExecutedPrecision, ExportError, HardwareProfile, load_profile
from parefront.hardware_profiles.errors import DeviceLostError
from parefront.hardware_profiles.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from parefront.spaces import CompressionOptions, Configuration, Finished, finish, prepare, reestimate_batch_norm
from parefront.spaces.linearise import set_linearity
from parefront.tasks import Task, load_task
from parefront.training import Split

DEPENDS_ON_HOST = {"memory_bytes", "energy_mj"}
"""Scores that only some machines tell."""
TINY_TASK = Path(__file__).parent.parent / "tiny_task.py"


@pytest.fixture(scope="module")
def bench(
    tiny_task: Task, fast_profile: HardwareProfile, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workbench]:
    bench = Workbench(tiny_task, fast_profile, tmp_path_factory.mktemp("artefacts"), seed=0)
    bench.anchor()
    baseline = bench.baseline("baseline")
    assert baseline.samples is not None
    assert baseline.test_samples is not None
    bench.set_reference(baseline.samples, baseline.test_samples)
    yield bench
    bench.close()


OTHER = "fast-openvino"


@pytest.fixture(scope="module")
def both(
    tiny_task: Task, fast_profile: HardwareProfile, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workbench]:
    """On two profiles, whose runtimes load the same files."""
    other = load_profile(str(TINY_TASK.with_name("fast_openvino.yaml")))
    bench = Workbench(tiny_task, fast_profile, tmp_path_factory.mktemp("both"), seed=0, others=[other])
    yield bench
    bench.close()


def all_int8(bench: Workbench) -> Configuration:
    return bench.space.canonical({site.name: 8 for site in bench.space.sites if site.technique == "bits"})


def hits(path: Path, split: Split) -> float:
    """Accuracy in percent of a file, sample by sample, in ONNX Runtime."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    found = [int(session.run(None, {name: image[None]})[0].argmax()) for image in split.inputs.numpy()]
    return 100 * float(np.mean(np.array(found) == split.targets.numpy()))


def test_the_structure_is_measured_without_training(bench: Workbench) -> None:
    found = bench.structure(Configuration(), "structure")
    assert set(found.scores) - DEPENDS_ON_HOST == {"latency_ms", "size_bytes", "macs"}
    assert found.scores["size_bytes"].value == found.artefact.stat().st_size
    # 8 x 8 pixels: 16 * 9 + 2 * 16 * 16 * 9 weights; then 256 * 32 and 32 * 4.
    assert found.scores["macs"].value == 64 * (16 * 9 + 2 * 16 * 16 * 9) + 256 * 32 + 32 * 4
    latency = found.scores["latency_ms"]
    assert latency.low is not None
    assert latency.high is not None
    assert 0 < latency.low <= latency.value <= latency.high
    assert set(found.seconds) == {"prepare", "export", "measure"}
    assert {time.layer for time in found.operator_times} >= {"stem", "block.conv1", "hidden", "classifier"}
    assert found.is_verified is None


def test_what_differs_in_its_storage_is_measured_once(
    tiny_task: Task, fast_profile: HardwareProfile, tmp_path: Path
) -> None:
    bench = Workbench(tiny_task, fast_profile, tmp_path, seed=0, options=CompressionOptions(has_stored=True))
    try:
        bench.anchor()
        baseline = bench.baseline("baseline")
        assert baseline.samples is not None
        assert baseline.test_samples is not None
        bench.set_reference(baseline.samples, baseline.test_samples)
        executed = {"bits/hidden": 8, "prune/block.conv1": 8}
        plain = bench.structure(bench.space.parse(executed), "plain")
        coded = bench.space.parse({**executed, "code/hidden": "clusters:3", "sparsity/block.conv1": 80})
        structure = bench.structure(coded, "coded")
        assert structure.scores["latency_ms"] == plain.scores["latency_ms"]
        assert "measure" not in structure.seconds
        # Of 8,192 weights 3 bits each are left of about 6.5 to 8, of 1,152 in 32 bits every fifth, and its position.
        assert 7_000 < plain.scores["stored_bytes"].value - structure.scores["stored_bytes"].value < 9_000
        trained = bench.short(coded, structure)
        final = bench.full(coded, "final")
        kept = KeptNetwork.read(final.artefact.with_suffix(".pt"))
        assert torch.equal(kept.state["hidden.weight"], kept.stored["hidden"].decode())
        assert len(kept.state["hidden.weight"].unique()) <= 8
        assert int((kept.state["block.conv1.weight"] == 0).sum()) == round(0.8 * 1_152)
        assert {"accuracy", "stored_bytes"} <= set(trained.scores)
    finally:
        bench.close()


def test_planned_int8_layers_are_executed_in_int8(bench: Workbench) -> None:
    found = bench.structure(all_int8(bench), "int8")
    assert (found.details["planned_int8"], found.details["executed_int8"]) == (5, 5)
    assert found.reason == ""


def test_a_layer_that_falls_back_to_float_is_the_reason(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    executed = ExecutedPrecision(int8_layers=("stem", "hidden", "classifier"), float_layers=())
    monkeypatch.setattr(device, "executed_precision", lambda times: executed)
    found = bench.structure(all_int8(bench), "fallen")
    assert found.reason == "2 layers did not execute as planned: block.conv1, block.conv2"
    assert (found.details["planned_int8"], found.details["executed_int8"]) == (5, 3)


def test_the_short_accuracy_is_that_of_the_file(bench: Workbench) -> None:
    configuration = bench.space.canonical({**all_int8(bench), "fold/block.conv1": "on"})
    structure = bench.structure(configuration, "short")
    found = bench.short(configuration, structure)
    assert found.scores["accuracy"].value == pytest.approx(hits(found.artefact, bench.data.validation))
    assert found.scores["latency_ms"] == structure.scores["latency_ms"]
    assert {"train", "evaluate"} <= set(found.seconds)
    assert found.seconds["export"] > structure.seconds["export"]  # exported twice
    baseline = hits(bench.latency.references["fp32"], bench.data.validation) if bench.latency else 0.0
    assert found.scores["accuracy_drop"].value == pytest.approx(baseline - found.scores["accuracy"].value)


def test_a_final_member_is_verified_and_tested(bench: Workbench) -> None:
    found = bench.full(all_int8(bench), "final")
    assert found.is_verified is True
    assert found.reason == ""
    assert found.scores["accuracy"].value == pytest.approx(hits(found.artefact, bench.data.validation))
    assert found.scores["test_accuracy"].value == pytest.approx(hits(found.artefact, bench.data.test))
    assert found.scores["size_bytes"].value == found.artefact.stat().st_size
    kept = KeptNetwork.read(found.artefact.with_suffix(".pt"))
    assert kept.state["stem.weight"].shape == (16, 1, 3, 3)
    assert set(kept.plan.layers) == {"stem", "block.conv1", "block.conv2", "hidden", "classifier"}


def test_a_network_trained_with_rounding_has_its_ranges_in_the_file(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans, given = [], []

    def kept(*arguments: Any) -> Finished:
        finished = finish(*arguments)
        given.append(arguments[4])
        plans.append(finished.plan)
        return finished

    monkeypatch.setattr(candidate_networks, "finish", kept)
    recipe = dataclasses.replace(bench.task.full_recipe, quantization_share=0.5)
    found = bench.full(all_int8(bench), "aware", recipe)
    assert found.is_verified is True, found.reason
    assert (found.details["planned_int8"], found.details["executed_int8"]) == (5, 5)
    assert found.scores["parity_error"].value <= MAX_INT8_ERROR
    assert found.scores["accuracy"].value == pytest.approx(hits(found.artefact, bench.data.validation))
    # The input, what four layers hand on, and the sum of the block.
    assert len(given[-1]) == 6
    assert all(plans[-1].tensors[name] == trained for name, trained in given[-1].items())


def test_one_that_fails_parity_is_not_verified(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "check_parity", lambda finished, session, inputs: Parity(0.3, 0.1))
    found = bench.baseline("parity")
    assert found.is_verified is False
    assert "must agree with torch" in found.reason
    assert "got 0.3" in found.reason


def test_what_was_trained_is_not_trained_again_because_the_device_went_away(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration, trained, score = all_int8(bench), [], bench._scores.final
    train = bench._networks.trained

    def count(*arguments: Any) -> Any:
        trained.append(arguments[0])
        return train(*arguments)

    def lose_device(*arguments: Any) -> Any:
        raise DeviceLostError("the board is away")

    monkeypatch.setattr(bench._networks, "trained", count)
    monkeypatch.setattr(bench._scores, "final", lose_device)
    with pytest.raises(DeviceLostError):
        bench.full(configuration, "lost")
    monkeypatch.setattr(bench._scores, "final", score)
    found = bench.full(configuration, "lost")
    assert found.is_verified is True
    assert found.seconds["train"] > 0
    assert trained == [configuration]
    bench.full(configuration, "lost")
    assert trained == [configuration] * 2  # What was scored is not kept.


def test_the_baseline_loses_nothing_against_itself(bench: Workbench) -> None:
    found = bench.baseline("again")
    drop = found.scores["accuracy_drop"]
    assert (drop.value, drop.low, drop.high) == (0, 0, 0)
    assert found.scores["test_drop"].value == 0


def test_the_same_seed_gives_the_same_network(bench: Workbench) -> None:
    configuration = bench.space.canonical({"prune/stem": 8})
    structure = bench.structure(configuration, "a")
    first = bench.short(configuration, structure)
    contents = first.artefact.read_bytes()
    second = bench.short(configuration, structure)
    assert second.artefact.read_bytes() == contents
    assert first.samples is not None
    assert second.samples is not None
    assert (first.samples == second.samples).all()


def test_calibrated_is_the_accuracy_without_training(bench: Workbench) -> None:
    configuration = bench.space.canonical({"prune/stem": 8, "fold/block.conv1": "on"})
    structure = bench.structure(configuration, "calibrated")
    found = bench.calibrated(configuration, structure)
    assert "train" not in found.seconds
    for name in ("latency_ms", "size_bytes", "macs"):
        assert found.scores[name] == structure.scores[name]
    # The same by hand in torch: pruned, what is folded linear, BatchNorm from the calibration samples.
    by_hand = prepare(bench.network, configuration)
    set_linearity(by_hand, 1.0)
    order = torch.randperm(len(bench.data.train), generator=torch.Generator().manual_seed(0))[:256]
    inputs = bench.data.train.inputs[order]
    reestimate_batch_norm(by_hand, inputs)
    validation = bench.data.validation
    outputs = finish(by_hand, configuration, inputs).module(validation.inputs)
    accuracy = 100 * float((outputs.argmax(1) == validation.targets).double().mean())
    assert found.scores["accuracy"].value == pytest.approx(accuracy)
    assert hits(found.artefact, validation) == pytest.approx(accuracy)
    assert found.scores["accuracy_drop"].value > 0


def test_a_child_may_start_from_an_ended_trial(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    parent, child = (bench.space.canonical({"prune/hidden": width}) for width in (16, 8))
    structure = bench.structure(child, "child")
    plain = bench.short(child, structure, [parent])
    assert "inherited" not in plain.details  # off by default
    monkeypatch.setattr(bench, "_inheritance", Inheritance.WEIGHTS)
    first = bench.short(parent, bench.structure(parent, "parent"))
    assert "inherited" not in first.details
    found = bench.short(child, structure, [parent])
    assert found.details["inherited"] == {"from": parent.key, "share": 1.0}
    again = bench.short(child, structure, [parent])
    assert found.samples is not None
    assert again.samples is not None
    assert (found.samples == again.samples).all()


def test_a_candidate_is_measured_on_every_profile(both: Workbench) -> None:
    anchors = both.anchor()
    assert set(anchors) == {"fp32", "int8", f"fp32@{OTHER}", f"int8@{OTHER}"}
    assert list(both.machines) == ["fast", OTHER]
    assert both.machines["fast"] == both.machine
    assert both.machines[OTHER].runtime.startswith("openvino ")
    found = both.full(all_int8(both), "final")
    assert found.is_verified is True, found.reason
    # The file is the same: it has one size. Accuracy is that of the main profile's runtime.
    assert {name for name in found.scores if name.endswith(f"@{OTHER}")} - {f"memory_bytes@{OTHER}"} == {
        f"latency_ms@{OTHER}",
        f"parity_error@{OTHER}",
    }
    assert found.details[f"executed_int8@{OTHER}"] == found.details["executed_int8"] == 5
    layers = {"stem", "block.conv1", "block.conv2", "hidden", "classifier"}
    assert {time.layer for time in found.operator_times_at[OTHER]} >= layers
    known = {name: 2 * ms for name, ms in anchors.items()}
    assert both.anchor(known) == known


def test_references_that_another_process_exported_stay_as_they_are(both: Workbench) -> None:
    anchors = both.anchor()
    files = sorted(both.latency.references.values()) if both.latency else []
    before = [file.stat().st_mtime_ns for file in files]
    assert len(files) == 2
    assert both.anchor(anchors, is_exported=True) == anchors
    assert [file.stat().st_mtime_ns for file in files] == before


def test_every_profile_must_agree_with_torch(both: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    both.anchor()
    errors = iter((0.01, 0.3))
    monkeypatch.setattr(devices, "check_parity", lambda finished, session, inputs: Parity(next(errors), 0.1))
    found = both.baseline("parity")
    assert found.is_verified is False
    assert found.reason.startswith(f"on {OTHER}: the export must agree with torch within 0.1 ")
    assert (found.scores["parity_error"].value, found.scores[f"parity_error@{OTHER}"].value) == (0.01, 0.3)


def test_the_space_is_what_all_profiles_execute(tiny_task: Task, fast_profile: HardwareProfile, tmp_path: Path) -> None:
    other = load_profile(str(TINY_TASK.with_name("fast_torch.yaml")))
    capabilities = other.capabilities.model_copy(update={"channel_grid": 12})
    other = other.model_copy(update={"capabilities": capabilities})
    bench = Workbench(tiny_task, fast_profile, tmp_path, seed=0, others=[other])
    bench.close()
    assert not any(site.technique == "bits" for site in bench.space.sites)  # torch executes float only
    # Channels on the grids of 8 and 12 are multiples of 24: of 32 there are 24.
    assert bench.space.site("prune/hidden").choices == (32, 24)


def test_a_failing_export_names_its_cause(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(OnnxRuntimeCpu, "export", fail)
    with pytest.raises(ExportError, match="could not be exported: RuntimeError: no such operator"):
        bench.structure(Configuration(), "x")


def test_the_tables_predict_the_size_of_a_real_file(bench: Workbench) -> None:
    # One precision each: the nodes that convert between them are counted per layer, whatever its bits.
    for start in ({}, all_int8(bench)):
        tables = CostTables(bench.space)
        seen = bench.structure(bench.space.canonical(start), "seen")
        tables.observe(start, seen.operator_times, seen.scores["latency_ms"].value, seen.scores["size_bytes"].value)
        unseen = bench.space.canonical({**start, "prune/stem": 8, "prune/hidden": 16})
        actual = bench.structure(unseen, "unseen").scores["size_bytes"].value
        assert actual < 0.75 * seen.scores["size_bytes"].value
        assert tables.size_bytes(unseen) == pytest.approx(actual, rel=0.02)


def test_the_key_tells_tasks_apart(bench: Workbench, fast_profile: HardwareProfile, tmp_path: Path) -> None:
    def key(task: Task) -> str:
        return Workbench(task, fast_profile, tmp_path, seed=0).key()

    assert key(load_task(str(TINY_TASK))) == bench.key()
    assert key(load_task(f"{TINY_TASK}:other_recipe")) != bench.key()


# --- measured again, and taken from elsewhere


def test_a_repeated_measurement_leaves_no_file(bench: Workbench) -> None:
    configuration = all_int8(bench)
    once = bench.structure(configuration, "once")
    before = {path.name for path in once.artefact.parent.iterdir()}
    again = bench.repeat(configuration, "repeated")
    assert {path.name for path in once.artefact.parent.iterdir()} == before
    assert set(again.scores) == set(once.scores)
    assert again.scores["size_bytes"].value == once.scores["size_bytes"].value
    assert again.details["executed_int8"] == again.details["planned_int8"] == 5


def test_what_was_trained_elsewhere_is_scored_by_its_file(bench: Workbench) -> None:
    configuration = all_int8(bench)
    trained = bench.short(configuration, bench.structure(configuration, "elsewhere"))
    adopted = bench.adopt(configuration, "adopted", trained.artefact)
    assert adopted.scores["accuracy"] == trained.scores["accuracy"]
    assert adopted.scores["accuracy_drop"] == trained.scores["accuracy_drop"]
    assert adopted.scores["latency_ms"].value > 0
    assert "train" not in adopted.seconds
    assert trained.artefact.exists()
    assert not trained.artefact.with_name(f"adopted{bench.suffix}").exists()  # untrained, it would pass for the other
    assert "accuracy" not in bench.adopt(configuration, "adopted", None).scores
