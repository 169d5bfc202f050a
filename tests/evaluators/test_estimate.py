import math
from pathlib import Path

import pytest
import torch

from parefront.evaluators import estimate as module
from parefront.evaluators.estimate import (
    NEUTRAL,
    Answer,
    Estimate,
    Targets,
    answers,
    estimate,
    uniform_configurations,
)
from parefront.hardware_profiles import HardwareProfile
from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import Configuration, Network, SearchSpace, find_space


def test_the_uniform_configurations_go_from_neutral_to_smallest(tiny_space: SearchSpace) -> None:
    found = uniform_configurations(tiny_space)
    assert list(found)[:3] == [NEUTRAL, "middle", "smallest"]
    assert found[NEUTRAL] == Configuration()
    assert found["middle"]["prune/hidden"] == 24  # of 32 24 16 8, the milder of the two in the middle
    assert found["smallest"]["bits/stem"] == tiny_space.site("bits/stem").choices[-1]
    assert found["smallest"]["fold/block.conv1"] == tiny_space.site("fold/block.conv1").choices[-1]
    assert "prune/hidden" not in found["smallest"]  # folded away with the activation behind it
    plain = found["smallest, no fold or rank"]
    assert {name.partition("/")[0] for name in plain} == {"prune", "bits"}
    assert plain["prune/hidden"] == 8


def test_every_configuration_is_canonical_and_there_once(tiny_space: SearchSpace) -> None:
    found = list(uniform_configurations(tiny_space).values())
    assert [tiny_space.canonical(each) for each in found] == found
    assert len(set(found)) == len(found)


def test_the_milder_width_in_the_middle_may_be_half_precision(tiny_network: Network) -> None:
    space = find_space(tiny_network, Capabilities(weight_bits=(32, "bf16", 8)))
    found = uniform_configurations(space)
    assert found["middle"]["bits/stem"] == "bf16"
    assert found["smallest"]["bits/stem"] == 8


@pytest.fixture(scope="module")
def estimates(
    tiny_network: Network,
    tiny_space: SearchSpace,
    fast_profile: HardwareProfile,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Estimate]:
    inputs = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    folder = tmp_path_factory.mktemp("estimates")
    return {each.name: each for each in estimate(tiny_network, tiny_space, fast_profile, inputs, folder)}


def test_the_neutral_network_is_counted_by_hand(estimates: dict[str, Estimate]) -> None:
    neutral = estimates[NEUTRAL]
    assert neutral.macs == 64 * (16 * 9 + 2 * 16 * 16 * 9) + 256 * 32 + 32 * 4
    # BatchNorm is gone, and the convolutions before it have got a bias.
    assert neutral.n_parameters == (16 * 9 + 16) + 2 * (16 * 16 * 9 + 16) + (256 * 32 + 32) + (32 * 4 + 4)
    assert neutral.size_bytes > 4 * neutral.n_parameters
    assert neutral.latency_ms > 0


def test_smaller_configurations_are_smaller(estimates: dict[str, Estimate]) -> None:
    assert not any(each.reason for each in estimates.values())
    plain = estimates["smallest, no fold or rank"]
    # Widths 8 throughout: stem, block (coupled), hidden.
    assert plain.macs == 64 * (8 * 9 + 2 * 8 * 8 * 9) + 128 * 8 + 8 * 4
    assert estimates[NEUTRAL].size_bytes > estimates["middle"].size_bytes > estimates["smallest"].size_bytes


def test_one_that_cannot_be_built_is_a_row_with_its_reason(
    tiny_network: Network,
    tiny_space: SearchSpace,
    fast_profile: HardwareProfile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = module.prepare

    def fail(network: Network, configuration: Configuration, **named: object) -> object:
        if configuration:
            raise RuntimeError("no such\noperator")
        return original(network, configuration)

    monkeypatch.setattr(module, "prepare", fail)
    steps: list[tuple[str, int, int]] = []
    inputs = torch.zeros(4, 1, 8, 8)
    found = estimate(tiny_network, tiny_space, fast_profile, inputs, tmp_path, lambda *step: steps.append(step))
    assert [each.reason for each in found] == ["", *["RuntimeError: no such operator"] * (len(found) - 1)]
    assert steps[1] == ("estimating: middle", 1, len(found))
    assert found[1].to_json()["reason"] == "RuntimeError: no such operator"
    assert "latency_ms" not in found[1].to_json()


# --- targets, on figures that are plain to see

FIGURES = [
    Estimate(NEUTRAL, Configuration(), latency_ms=10.0, size_bytes=1_000),
    Estimate("small", Configuration(), latency_ms=4.0, size_bytes=100),
    Estimate("fast", Configuration(), latency_ms=2.0, size_bytes=200),
    Estimate("broken", Configuration(), reason="no such operator"),
]


def test_each_target_is_judged_by_the_best_for_it() -> None:
    assert answers(FIGURES, Targets(3.0, 5.0, 100)) == [
        Answer("max_latency_ms", 3.0, True, 2.0, "fast"),
        Answer("min_speedup", 5.0, True, 5.0, "fast"),
        Answer("max_size_bytes", 100, True, 100, "small"),
    ]
    assert [each.can_be_met for each in answers(FIGURES, Targets(1.9, 5.1, 99))] == [False] * 3


def test_without_targets_there_is_nothing_to_answer() -> None:
    assert answers(FIGURES, Targets()) == []


def test_without_figures_nothing_is_claimed() -> None:
    assert answers(FIGURES[3:], Targets(3.0, 5.0, 100)) == []
    assert math.isnan(FIGURES[3].latency_ms)
