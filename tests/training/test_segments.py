import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.hardware_profiles.errors import TrainingError
from parefront.spaces import Configuration, Network, SearchSpace, prepare
from parefront.training import OnlySegment, Split, TrainingRecipe, changed_layers, finetune

RECIPE = TrainingRecipe(n_samples=96, learning_rate=0.05, batch_size=16)


@pytest.fixture
def images() -> Split:
    generator = torch.Generator().manual_seed(0)
    return Split(torch.randn(64, 1, 8, 8, generator=generator), torch.randint(4, (64,), generator=generator))


def test_without_a_difference_nothing_changed(tiny_space: SearchSpace) -> None:
    configuration = Configuration.of({"prune/stem": 8})
    assert changed_layers(tiny_space, Configuration()) == frozenset()
    assert changed_layers(tiny_space, configuration, configuration) == frozenset()


def test_a_width_changes_those_who_make_the_channels_and_those_who_read_them(tiny_space: SearchSpace) -> None:
    # The shortcut couples stem and block.conv2; block.conv1 and the flattened map read their channels.
    assert changed_layers(tiny_space, Configuration.of({"prune/stem": 8})) == {
        "stem",
        "block.conv1",
        "block.conv2",
        "hidden",
    }
    assert changed_layers(tiny_space, Configuration.of({"prune/hidden": 16})) == {"hidden", "classifier"}


def test_the_difference_of_two_configurations_counts(tiny_space: SearchSpace) -> None:
    before = Configuration.of({"prune/hidden": 16, "bits/stem": 8})
    assert changed_layers(tiny_space, Configuration.of({"prune/hidden": 16}), before) == {"stem"}
    assert changed_layers(tiny_space, Configuration.of({"fold/block.conv1": "on"})) == {"block.conv1", "block.conv2"}


def train(network: Network, configuration: Configuration, images: Split, segment: OnlySegment) -> dict[str, bool]:
    """Which tensors of the module a training moved."""
    module = prepare(network, configuration)
    before: dict[str, Tensor] = {name: value.clone() for name, value in module.state_dict().items()}
    finetune(module, images, RECIPE, functional.cross_entropy, seed=0, hooks=[segment])
    assert all(parameter.requires_grad for parameter in module.parameters())
    return {name: not torch.equal(value, before[name]) for name, value in module.state_dict().items() if name in before}


def test_only_the_segment_and_the_norms_behind_it_are_trained(tiny_network: Network, images: Split) -> None:
    moved = train(tiny_network, Configuration(), images, OnlySegment(["block.conv2"]))
    assert {name for name, has_moved in moved.items() if has_moved} == {
        "block.conv2.weight",
        "block.norm2.weight",
        "block.norm2.bias",
        "block.norm2.running_mean",
        "block.norm2.running_var",
        "block.norm2.num_batches_tracked",
    }


def test_nothing_in_front_of_the_segment_is_in_the_backward_pass(tiny_network: Network, images: Split) -> None:
    module, seen = prepare(tiny_network, Configuration()), list[bool]()
    module.get_submodule("hidden").register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].requires_grad))
    finetune(module, images, RECIPE, functional.cross_entropy, seed=0, hooks=[OnlySegment(["hidden", "classifier"])])
    assert seen == 6 * [False]


def test_factors_and_merged_layers_belong_to_the_segment(
    tiny_network: Network, tiny_space: SearchSpace, images: Split
) -> None:
    folded = Configuration.of({"fold/block.conv1": "on"})
    moved = train(tiny_network, folded, images, OnlySegment(changed_layers(tiny_space, folded)))
    assert moved["block.norm2.weight"]
    assert not any(moved[f"{layer}.weight"] for layer in ("stem", "hidden", "classifier"))
    rank = next(site for site in tiny_space.sites if site.name == "rank/hidden")
    factorised = Configuration.of({rank.name: rank.choices[-1]})
    moved = train(tiny_network, factorised, images, OnlySegment(["hidden"]))
    assert {name for name, has_moved in moved.items() if has_moved} == {
        "hidden.0.weight",
        "hidden.1.weight",
        "hidden.1.bias",
    }


def test_a_module_without_a_graph_trains_all_its_norms(images: Split) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    finetune(module, images, RECIPE, functional.cross_entropy, seed=0, hooks=[OnlySegment(["4"])])
    moved = {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if name.startswith(("2.", "4."))}


def test_layers_that_are_not_there_are_refused(tiny_network: Network, images: Split) -> None:
    for layers, named in ((["nowhere"], "nowhere"), ([], "none")):
        with pytest.raises(TrainingError, match=f"must name layers of the network, got {named}"):
            train(tiny_network, Configuration(), images, OnlySegment(layers))
