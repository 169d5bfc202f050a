import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from parefront.hardware_profiles.errors import TrainingError
from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import Configuration, find_space, finish, prepare, simulate, trace
from parefront.spaces.linearise import LinearisedActivation
from parefront.training import Checkpoint, QuantizationAware, Run, Split, TrainingRecipe, finetune, predict


@pytest.fixture
def points() -> Split:
    """64 points of the plane; the class is the sign of the first coordinate."""
    inputs = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    return Split(inputs, (inputs[:, 0] > 0).long())


@pytest.fixture
def model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))


def recipe(n_steps: int = 8, **changes: Any) -> TrainingRecipe:
    return TrainingRecipe(
        **{"n_samples": 16 * n_steps, "learning_rate": 0.05, "batch_size": 16, "quantization_share": 0.5, **changes}
    )


class Watched(QuantizationAware):
    """Keeps what the rounded network answers to some inputs just before the roundings are taken out."""

    inputs: Tensor
    answers: Tensor

    def end(self, run: Run) -> None:
        run.module.eval()
        with torch.no_grad():
            self.answers = run.module(self.inputs)
        super().end(run)


@pytest.mark.parametrize("ranges", ["learned", "calibrated"])
def test_the_module_is_a_plain_one_again(model: nn.Module, points: Split, ranges: Any) -> None:
    hook, names = QuantizationAware({"0": 8, "3": 2, "5": 1}, ranges=ranges), set(model.state_dict())
    finetune(model, points, recipe(), functional.cross_entropy, seed=0, hooks=(hook,))
    assert set(model.state_dict()) == names
    assert [type(each) for each in model] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert not any(each._forward_pre_hooks for each in model)
    # The weights are those that were computed with; below 8 bits as codes, too.
    assert {name: stored.bits for name, stored in hook.weights.items()} == {"3": 2, "5": 1}
    for name, stored in hook.weights.items():
        assert torch.equal(model.get_submodule(name).weight, stored.decode())
    assert all(len(row.unique()) <= 4 for row in model[3].weight)
    assert all(len(row.abs().unique()) == 1 for row in model[5].weight)


def test_rounding_begins_with_the_last_share(model: nn.Module, points: Split) -> None:
    seen: list[bool] = []
    finetune(
        model,
        points,
        recipe(8, quantization_share=0.25),
        functional.cross_entropy,
        seed=0,
        hooks=(QuantizationAware({"3": 4}),),
        on_step=lambda step, total: seen.append(hasattr(model[3], "parametrizations")),
    )
    assert seen == [False] * 6 + [True] * 2


def test_without_a_share_nothing_happens(model: nn.Module, points: Split) -> None:
    other, hook = copy.deepcopy(model), QuantizationAware({"3": 1})
    plain = recipe(4, quantization_share=0.0)
    finetune(model, points, plain, functional.cross_entropy, seed=0, hooks=(hook,))
    finetune(other, points, plain, functional.cross_entropy, seed=0)
    assert torch.equal(model[3].weight, other[3].weight)
    assert (hook.values, hook.weights) == ({}, {})


def test_it_learns_what_rounding_afterwards_loses(model: nn.Module, points: Split) -> None:
    hook = Watched({"0": 1, "3": 1, "5": 1})
    hook.inputs = points.inputs
    finetune(model, points, recipe(60), functional.cross_entropy, seed=0, hooks=(hook,))
    assert (hook.answers.argmax(1) == points.targets).float().mean() > 0.9


def test_momentum_outlives_the_start_of_rounding(model: nn.Module, points: Split) -> None:
    class Look(QuantizationAware):
        kept: tuple[bool, bool] = (False, False)

        def before_step(self, run: Run) -> None:
            super().before_step(run)
            if run.step == 4:
                original = run.module.get_submodule("3.parametrizations.weight").original
                step = run.module.get_submodule("3.parametrizations.weight.0").step
                trained = {each for group in run.optimiser.param_groups for each in group["params"]}
                self.kept = original in run.optimiser.state, step in trained

    hook = Look({"3": 4})
    finetune(model, points, recipe(8), functional.cross_entropy, seed=0, hooks=(hook,))
    assert hook.kept == (True, True)


def test_few_bits_in_a_traced_network_round_inputs_and_weights(model: nn.Module, points: Split) -> None:
    traced = fx.symbolic_trace(model)
    names = [node.name for node in traced.graph.nodes]
    hook = QuantizationAware({"0": 8, "3": 4, "5": 8})
    finetune(traced, points, recipe(), functional.cross_entropy, seed=0, hooks=(hook,))
    assert [node.name for node in traced.graph.nodes] == names
    assert set(hook.weights) == {"3"}
    assert torch.equal(traced.get_submodule("3").weight, hook.weights["3"].decode())
    # Layer 0 reads the input and gives the ReLU's values; layer 5 reads those of the other ReLU.
    assert set(hook.values) == {"input_1.value", "_2.value", "_4.value"}


# Networks from `prepare`.


def trained_in_int8(
    model: nn.Module, images: Tensor, choices: dict[str, Any], ranges: Any
) -> tuple[Watched, fx.GraphModule, Configuration]:
    network = trace(model, images[:2])
    space = find_space(network, Capabilities())
    bits = {site.name: 8 for site in space.sites if site.technique == "bits"}
    configuration = space.canonical({**bits, **choices})
    module = prepare(network, configuration)
    names = [node.name for node in module.graph.nodes]
    hook = Watched.of(configuration, ranges)
    assert isinstance(hook, Watched)
    hook.inputs = images
    data = Split(images, torch.arange(len(images)))
    finetune(module, data, recipe(6, batch_size=8, learning_rate=1e-3), functional.cross_entropy, seed=0, hooks=(hook,))
    if not any(name.startswith("fold/") for name in configuration):
        assert [node.name for node in module.graph.nodes] == names
    assert all("rounding" not in name for name in module.state_dict())
    return hook, module, configuration


@pytest.mark.parametrize("ranges", ["learned", "calibrated"])
def test_the_finished_network_computes_what_was_trained(
    tiny_residual_network: Callable[..., nn.Module], tiny_images: Tensor, ranges: Any
) -> None:
    hook, module, configuration = trained_in_int8(tiny_residual_network(), tiny_images, {}, ranges)
    finished = finish(module, configuration, tiny_images, ranges=hook.values)
    for name, quantization in hook.values.items():
        assert finished.plan.tensors[name] == quantization
    with torch.no_grad():
        found = simulate(finished.module, finished.plan)(tiny_images)
    # Biases are rounded in addition, to 32 bits; a value at a rounding boundary may fall the other way.
    assert (found - hook.answers).square().mean().sqrt() < 0.02 * hook.answers.std()


def test_ranges_that_were_trained_with_matter(
    tiny_residual_network: Callable[..., nn.Module], tiny_images: Tensor
) -> None:
    hook, module, configuration = trained_in_int8(tiny_residual_network(), tiny_images, {}, "learned")
    calibrated = finish(module, configuration, tiny_images).plan
    assert any(calibrated.tensors[name] != quantization for name, quantization in hook.values.items())
    assert finish(module, configuration, tiny_images, ranges={}).plan == calibrated


def test_folded_and_factorised_layers_are_rounded_too(
    tiny_residual_network: Callable[..., nn.Module], tiny_images: Tensor
) -> None:
    choices = {"fold/layer1.0.conv1": "on", "rank/layer2.0.conv2": "spatial:8"}
    hook, module, configuration = trained_in_int8(tiny_residual_network(), tiny_images, choices, "learned")
    finished = finish(module, configuration, tiny_images, ranges=hook.values)
    assert set(finished.plan.layers) >= {"layer1.0.conv1", "layer2.0.conv2.0", "layer2.0.conv2.1"}
    assert hook.values
    for name, quantization in hook.values.items():
        assert finished.plan.tensors[name] == quantization


def test_nothing_in_eight_bits_is_no_hook() -> None:
    assert QuantizationAware.of(Configuration.of({"prune/a": 8, "bits/a": "w8", "bits/b": "bf16"})) is None


def test_a_killed_training_goes_on_to_the_same_result(
    tiny_residual_network: Callable[..., nn.Module], tiny_images: Tensor, tmp_path: Path
) -> None:
    network = trace(tiny_residual_network(), tiny_images[:2])
    configuration = Configuration.of({f"bits/{layer.name}": 8 for layer in network.layers})
    data = Split(tiny_images, torch.arange(len(tiny_images)))

    def train(checkpoint: Checkpoint | None, stop_at: int = 100) -> tuple[Tensor, Any]:
        def stop(step: int, total: int) -> None:
            if step == stop_at:
                raise KeyboardInterrupt

        module, hook = prepare(network, configuration), QuantizationAware.of(configuration)
        assert hook is not None
        short = recipe(8, batch_size=8, learning_rate=1e-3)
        finetune(
            module,
            data,
            short,
            functional.cross_entropy,
            seed=0,
            hooks=(hook,),
            checkpoint=checkpoint,
            on_step=stop,
        )
        return predict(module, data), hook.values

    whole, values = train(None)
    with pytest.raises(KeyboardInterrupt):
        train(Checkpoint(tmp_path / "c", "key", every_s=0.0), stop_at=7)
    resumed, resumed_values = train(Checkpoint(tmp_path / "c", "key", every_s=0.0))
    assert torch.equal(whole, resumed)
    assert values == resumed_values


# Bad input.


def test_widths_that_are_not_known_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"bits must be one of 8, 4, 2, 1, got 3 for 'a': leave the layer out"):
        QuantizationAware({"a": 3})


def test_a_layer_that_a_traced_network_has_not_is_refused(points: Split, model: nn.Module) -> None:
    traced = fx.symbolic_trace(model)
    with pytest.raises(TrainingError, match=r"unknown layer '33': .*3"):
        finetune(traced, points, recipe(), functional.cross_entropy, seed=0, hooks=(QuantizationAware({"33": 8}),))


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        ({"4": 8}, "unknown layer '4': .*3"),
        ({"0": 8}, "layers that are rounded must be convolutions or linear, got ConvTranspose1d for '0': leave it out"),
    ],
)
def test_layers_that_cannot_be_rounded_are_refused(points: Split, bits: dict[str, int], message: str) -> None:
    model = nn.Sequential(nn.ConvTranspose1d(2, 2, 1), nn.Flatten(), nn.ReLU(), nn.Linear(2, 2))
    with pytest.raises(TrainingError, match=message):
        finetune(model, points, recipe(), functional.cross_entropy, seed=0, hooks=(QuantizationAware(bits),))


def test_snapshots_are_all_of_one_kind(model: nn.Module, points: Split) -> None:
    cycles = recipe(schedule="snapshots", n_cycles=2)
    with pytest.raises(TrainingError, match="quantization_share needs a schedule of one fall, got 'snapshots'"):
        finetune(model, points, cycles, functional.cross_entropy, seed=0, hooks=(QuantizationAware({"0": 8}),))


def test_rounding_must_wait_until_activations_are_linear(points: Split) -> None:
    model = nn.Sequential(nn.Linear(2, 8), LinearisedActivation(nn.ReLU()), nn.Linear(8, 2))
    with pytest.raises(TrainingError, match=r"at most 1 together where activations are folded, got 1.25: lower one"):
        finetune(
            model,
            points,
            recipe(quantization_share=0.5, linearisation=0.75),
            functional.cross_entropy,
            seed=0,
            hooks=(QuantizationAware({"0": 8}),),
        )
