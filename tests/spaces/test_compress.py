import random
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import (
    Configuration,
    Network,
    SearchSpace,
    find_space,
    finish,
    prepare,
    reestimate_batch_norm,
    set_linearity,
    trace,
)

N_DRAWS = 12


def draw(space: SearchSpace, seed: int) -> Configuration:
    """A random legal configuration; how much of it is neutral varies with the seed."""
    generator = random.Random(seed)
    share = generator.choice((0.2, 0.5, 1.0))
    choices = {
        site.name: generator.choice(site.choices) if generator.random() < share else site.neutral
        for site in space.sites
    }
    return space.canonical(choices)


def layers_in_int8(space: SearchSpace, configuration: Configuration) -> list[str]:
    """By the rules: a layer of 8 bits, or all its factors; a folded segment has the bits of its first layer."""
    names = []
    for site in space.sites:
        if site.technique == "bits" and configuration.get(site.name) == 8:
            rank = str(configuration.get(f"rank/{site.layer}", ""))
            n_factors = 3 if rank.startswith("tucker") else 2
            names += [f"{site.layer}.{i}" for i in range(n_factors)] if rank else [site.layer]
    return sorted(names)


@pytest.mark.parametrize("seed", range(N_DRAWS))
def test_any_legal_configuration_is_made_real(network: Network, images: Tensor, seed: int) -> None:
    space = find_space(network, Capabilities())
    configuration = draw(space, seed)
    prepared = prepare(network, configuration)
    finished = finish(prepared, configuration, images)
    set_linearity(prepared, 1.0)
    with torch.no_grad():
        trained, deployed = prepared(images), finished.module(images)
    assert deployed.shape == (4, 10)
    assert (deployed - trained).abs().max() <= 1e-4 * trained.abs().max()
    assert list(finished.plan.layers) == layers_in_int8(space, configuration)
    assert not any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in finished.module.modules())


@pytest.mark.parametrize("seed", range(4))
def test_widths_are_those_that_were_chosen(network: Network, images: Tensor, seed: int) -> None:
    space = find_space(network, Capabilities())
    generator = random.Random(seed)
    sites = [site for site in space.sites if site.technique == "prune"]
    choices = {site.name: generator.choice(site.choices) for site in sites}
    prepared = prepare(network, space.canonical(choices))
    for name, widths in space.widths.items():
        layer = prepared.get_submodule(name)
        if isinstance(layer, nn.Conv2d):
            assert (layer.in_channels, layer.out_channels) == widths.under(choices), name
        elif isinstance(layer, nn.Linear):
            assert (layer.in_features, layer.out_features) == widths.under(choices), name


def test_a_norm_behind_a_layer_with_two_readers_stays_and_nothing_changes(images: Tensor) -> None:
    class TwoReaders(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)
            self.norm = nn.BatchNorm2d(8)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return self.norm(x) + x

    model = TwoReaders().eval()
    model.norm.running_mean.fill_(0.5)
    finished = finish(prepare(trace(model, images), Configuration()), Configuration(), images)
    torch.testing.assert_close(finished.module(images), model(images), rtol=1e-5, atol=1e-5)


def test_a_layer_called_twice_keeps_its_own_norms(images: Tensor, randomise: Callable[..., nn.Module]) -> None:
    class Shared(nn.Module):
        """One convolution at two scales with a norm for each, as in detection heads."""

        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 16, 3, padding=1)
            self.conv = nn.Conv2d(16, 16, 3, padding=1)
            self.norms = nn.ModuleList([nn.BatchNorm2d(16), nn.BatchNorm2d(16)])

        def forward(self, x: Tensor) -> Tensor:
            x = torch.relu(self.norms[0](self.conv(torch.relu(self.stem(x)))))
            return self.norms[1](self.conv(x))

    model = randomise(Shared())
    network = trace(model, images)
    finished = finish(prepare(network, Configuration()), Configuration(), images)
    with torch.no_grad():
        torch.testing.assert_close(finished.module(images), model(images), rtol=1e-5, atol=1e-5)
    space = find_space(network, Capabilities())
    assert {site.name for site in space.sites} == {"bits/stem", "rank/stem"} & {site.name for site in space.sites}
    assert {(item.technique, item.name) for item in space.left_alone} >= {("bits", "conv"), ("rank", "conv")}


def test_a_norm_without_running_statistics_is_left_in_place(images: Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, track_running_stats=False)).eval()
    finished = finish(prepare(trace(model, images), Configuration()), Configuration(), images)
    torch.testing.assert_close(finished.module(images), model(images))


def test_norms_are_estimated_anew_from_the_data(images: Tensor) -> None:
    norm = nn.BatchNorm2d(3)
    model = nn.Sequential(nn.Dropout(0.5), norm).eval()
    reestimate_batch_norm(model, images, n_batches=2)
    # The plain average over the two batches of what the formulas give; dropout must not take part.
    halves = images.reshape(2, 2, 3, 16, 16).transpose(1, 2).reshape(2, 3, -1)  # -> (batch, channel, values)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, halves.mean(2).mean(0))
    torch.testing.assert_close(norm.running_var, halves.var(2, unbiased=True).mean(0))
    assert norm.momentum == 0.1
    assert not any(module.training for module in model.modules())
