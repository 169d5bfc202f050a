from pathlib import Path

import pytest
import torch
from torch import Tensor

from parefront.evaluators.inheritance import Relatives, distance, inherit, nearest
from parefront.hardware_profiles import HardwareProfile
from parefront.hardware_profiles.errors import TrainingError
from parefront.spaces import CompressionOptions, Configuration, Network, SearchSpace, find_space, prepare

A, B, C = (Configuration.of({"prune/hidden": width}) for width in (24, 16, 8))


def state(value: float) -> dict[str, Tensor]:
    return {"weight": torch.full((2,), value)}


def trained(network: Network, configuration: Configuration) -> dict[str, Tensor]:
    """As if a training had added 1000 to every parameter and every statistic."""
    return {name: value + 1000 for name, value in prepare(network, configuration).state_dict().items()}


def test_widths_count_by_their_place_and_other_choices_one(tiny_space: SearchSpace) -> None:
    # Choices of prune/hidden are 32, 24, 16, 8.
    assert distance(tiny_space, A, A) == 0
    assert distance(tiny_space, A, C) == distance(tiny_space, C, A) == pytest.approx(2 / 3)
    assert distance(tiny_space, Configuration(), C) == 1
    folded = A.with_choice("fold/block.conv1", "on")
    assert distance(tiny_space, folded, A) == 1
    assert distance(tiny_space, folded, C) == pytest.approx(1 + 2 / 3)
    assert distance(tiny_space, A.with_choice("bits/stem", 8), A) == pytest.approx(0.01)


def test_the_nearest_is_the_parent_and_of_equals_the_latest(tiny_space: SearchSpace) -> None:
    assert nearest(tiny_space, C, [A, B]) == B
    assert nearest(tiny_space, B, [A, C]) == C
    assert nearest(tiny_space, B, [C, A]) == A


def test_there_is_none_where_the_uncompressed_network_is_no_farther(tiny_space: SearchSpace) -> None:
    assert nearest(tiny_space, A, [C]) is None
    assert nearest(tiny_space, C, []) is None


def test_the_same_widths_take_over_everything(tiny_network: Network, tiny_space: SearchSpace) -> None:
    module, parent = prepare(tiny_network, A), trained(tiny_network, A)
    share = inherit(module, tiny_network, tiny_space, A, A, parent)
    assert share == 1
    assert all(torch.equal(value, parent[name]) for name, value in module.state_dict().items())


def test_a_narrower_child_takes_over_the_channels_it_kept(tiny_network: Network, tiny_space: SearchSpace) -> None:
    module = prepare(tiny_network, C)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert inherit(module, tiny_network, tiny_space, C, B, trained(tiny_network, B)) == 1
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name] + 1000), name


def test_a_wider_child_has_its_other_channels_from_the_baseline(tiny_network: Network, tiny_space: SearchSpace) -> None:
    module = prepare(tiny_network, A)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    share = inherit(module, tiny_network, tiny_space, A, B, trained(tiny_network, B))
    after = module.state_dict()
    moved = (after["hidden.weight"] - before["hidden.weight"]).abs() > 500
    assert moved.all(1).sum() == 16  # of 24 rows
    assert not moved.any(1).all()
    assert torch.equal(after["stem.weight"], before["stem.weight"] + 1000)
    assert 0.5 < share < 1


@pytest.mark.parametrize("is_child_folded", [True, False])
def test_folded_layers_and_the_norm_behind_them_come_from_the_baseline(
    tiny_network: Network, tiny_space: SearchSpace, is_child_folded: bool
) -> None:
    folded = A.with_choice("fold/block.conv1", "on")
    child, parent = (folded, A) if is_child_folded else (A, folded)
    module = prepare(tiny_network, child)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    inherit(module, tiny_network, tiny_space, child, parent, trained(tiny_network, parent))
    for name, value in module.state_dict().items():
        is_own = name.startswith("block.") or name.endswith("alpha")
        expected = before[name] if is_own else before[name] + 1000
        assert torch.equal(value, expected), name


def test_factors_are_taken_over_where_the_rank_is_the_same(tiny_network: Network, tiny_space: SearchSpace) -> None:
    ranks = tiny_space.site("rank/hidden").choices
    one, other = (Configuration.of({"rank/hidden": rank}) for rank in ranks[1:3])
    for parent, is_taken in ((one, True), (other, False), (Configuration(), False)):
        module = prepare(tiny_network, one)
        before = module.state_dict()["hidden.0.weight"].clone()
        inherit(module, tiny_network, tiny_space, one, parent, trained(tiny_network, parent))
        assert torch.equal(module.state_dict()["hidden.0.weight"], before + 1000 if is_taken else before)


def test_an_operator_s_layers_are_taken_over_where_it_is_the_same(
    tiny_network: Network, fast_profile: HardwareProfile
) -> None:
    space = find_space(tiny_network, fast_profile.capabilities, CompressionOptions(has_operators=True))
    fire = Configuration.of({"operator/block.conv1": "fire:8"})
    pruned = fire.with_choice("prune/block.conv1", 8)
    other = Configuration.of({"operator/block.conv1": "separable"})
    for parent, is_taken in ((fire, True), (other, False), (Configuration(), False)):
        module = prepare(tiny_network, pruned)
        before = module.state_dict()["block.conv1.2.weight"].clone()
        inherit(module, tiny_network, space, pruned, parent, trained(tiny_network, parent))
        after = module.state_dict()["block.conv1.2.weight"]
        assert before.shape == (4, 8, 3, 3)
        assert torch.equal(after, before + 1000 if is_taken else before)


def test_weights_are_found_again(tmp_path: Path) -> None:
    relatives = Relatives(tmp_path / "relatives")
    relatives.keep(A, state(1.0), [])
    assert torch.equal(Relatives(tmp_path / "relatives").load(A)["weight"], torch.ones(2))


def test_only_ended_trials_are_parents(tmp_path: Path) -> None:
    relatives = Relatives(tmp_path)
    relatives.keep(A, state(1.0), [])
    relatives.keep(B, state(2.0), [A])  # and then the program was killed
    assert relatives.eligible([]) == ()
    assert relatives.eligible([A]) == (A,)
    assert relatives.eligible([A, B, C]) == (A, B)  # C has no weights: it came from another run


def test_no_more_are_kept_than_said(tmp_path: Path) -> None:
    relatives = Relatives(tmp_path, n_kept=1)
    for configuration, ended in ((A, []), (B, [A]), (C, [A, B])):
        relatives.keep(configuration, state(0.0), ended)
    assert {path.name for path in tmp_path.iterdir()} == {f"{B.key}.pt", f"{C.key}.pt"}
    assert relatives.eligible([A, B, C]) == (C,)


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / f"{A.key}.pt").write_bytes(b"broken")
    with pytest.raises(TrainingError, match="must be as they were written"):
        Relatives(tmp_path).load(A)
