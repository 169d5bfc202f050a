import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.search_quality_methods import ladder, our_seeds, ours
from benchmarks.search_quality_networks import SPECS, HardenedActivation, SurfaceSpec
from benchmarks.search_quality_surface import Surface
from parefront.search.proposal import Proposal
from parefront.search.trial import Fidelity, State
from parefront.tasks import TaskData
from parefront.training import Split, TrainingRecipe


def build_network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


def load_data() -> TaskData:
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(300) % 3
    inputs = torch.randn(300, 1, 8, 8, generator=generator) + targets[:, None, None, None]
    return TaskData(*(Split(inputs[part], targets[part]) for part in (slice(200), slice(200, 290), slice(290, 300))))


SPEC = SurfaceSpec("tiny", build_network, TrainingRecipe(n_samples=640, learning_rate=0.05), load_data=load_data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("surfaces")


@pytest.fixture(scope="module")
def surface(folder: Path) -> Surface:
    return Surface(SPEC, folder)


def some(surface: Surface) -> Proposal:
    return Proposal(surface.space.canonical({"prune/0": 8, "bits/3": 8}), "by hand")


def test_the_baseline_loses_nothing_and_lies_in_the_corner(surface: Surface) -> None:
    assert surface.baseline.value("accuracy_drop") == 0.0
    assert surface.point(surface.baseline) == (0.0, 0.0, 0.0)


def test_a_trial_is_measured_whole(surface: Surface) -> None:
    trial = surface.trial(7, some(surface))
    assert (trial.number, trial.state, trial.fidelity) == (7, State.COMPLETE, Fidelity.SHORT)
    assert set(trial.scores) == {"accuracy", "accuracy_drop", "latency_ms", "size_bytes", "macs"}
    left = surface.baseline.value("accuracy") - trial.value("accuracy_drop")
    assert trial.value("accuracy") == pytest.approx(left)
    # 8 of 16 channels: 9 x 8 and 9 x 8 x 16 weights on 8 x 8 pixels, and the classifier.
    assert trial.value("macs") == 64 * (9 * 8 + 9 * 8 * 16) + 16 * 3
    assert trial.value("size_bytes") < surface.baseline.value("size_bytes")
    assert {row[0] for row in trial.details["operators"]} >= {"0", "3", "7"}
    assert trial.scores["latency_ms"].low <= trial.value("latency_ms") <= trial.scores["latency_ms"].high


def test_what_was_evaluated_once_stays_so(surface: Surface, folder: Path) -> None:
    trial = surface.trial(1, some(surface))
    again = Surface(SPEC, folder)
    assert again.trial(1, some(again)) == trial
    assert again.n_fresh == 0
    assert again.baseline == surface.baseline


def test_everything_known_can_be_listed(surface: Surface) -> None:
    trial = surface.trial(1, some(surface))
    assert surface.point(trial) in surface.known_points()
    assert surface.point(surface.baseline) in surface.known_points()


def test_what_cannot_be_evaluated_is_a_failed_trial(surface: Surface, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import search_quality_surface
    from parefront.hardware_profiles.errors import ExportError

    def fail(*arguments: object) -> None:
        raise ExportError("no")

    proposal = Proposal(surface.space.canonical({"prune/0": 12}), "by hand")
    with monkeypatch.context() as patch:
        patch.setattr(search_quality_surface, "export_onnx", fail)
        trial = surface.trial(3, proposal)
    assert (trial.state, trial.reason, trial.scores) == (State.FAILED, "ExportError: no", {})
    assert surface.trial(3, proposal) == trial  # and stays one


def test_another_network_does_not_take_over_a_surface(folder: Path, surface: Surface) -> None:
    longer = dataclasses.replace(SPEC, recipe=TrainingRecipe(n_samples=704, learning_rate=0.05))
    with pytest.raises(SystemExit, match="must hold the surface of this network"):
        Surface(longer, folder)


def test_a_hardened_activation_is_the_activation_once_trained() -> None:
    x = torch.randn(4, 3, 2, 2)
    hardened = HardenedActivation(nn.ReLU())
    assert torch.equal(hardened.eval()(x), x.relu())
    always = HardenedActivation(nn.ReLU(), left_out=1.0, dropped=0.0)
    assert torch.equal(always.train()(x), x)


@pytest.mark.parametrize("name", SPECS)
def test_every_network_takes_the_digits(name: str) -> None:
    assert SPECS[name].task().build_network().eval()(torch.zeros(2, 1, 16, 16)).shape == (2, 10)


def test_what_choices_do_is_found_out_once_and_takes_time(surface: Surface, folder: Path) -> None:
    assert set(surface.divergences) == {site.name for site in surface.space.sites}
    for site in surface.space.sites:
        values = surface.divergences[site.name]
        assert list(values) == list(site.choices)
        assert values[site.neutral] == 0
        assert all(0 <= value <= 1 for value in values.values())
    assert surface.head_start > 0
    again = Surface(SPEC, folder)
    assert (again.divergences, again.n_fresh) == (surface.divergences, 0)


def test_our_seeds_are_what_ours_begins_with_and_the_ladder(surface: Surface) -> None:
    found = our_seeds(surface, 0)
    assert len(set(found)) == len(found) > len(ladder(surface, 0))
    assert set(ladder(surface, 0)) <= set(found)
    proposer = ours(surface, 0)
    proposer.tell(surface.baseline)
    assert proposer.ask(1)[0].configuration == found[0]
