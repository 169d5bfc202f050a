"""One torchvision model through everything: discovery, three random configurations, export, ONNX Runtime, comparison.

    python -m benchmarks.zoo_model NAME

Prints one JSON object. `zoo.py` runs it in a process of its own for each model, so that memory is measured cleanly and
a crash costs one model.
"""

from __future__ import annotations

import collections
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torchvision
from torch import Tensor

from benchmarks.zoo_steps import compare_stepwise
from parefront.evaluators.deploy import misexecuted_layers
from parefront.hardware_profiles import load_profile
from parefront.hardware_profiles.runtimes import executed_precision, get_runtime
from parefront.spaces import (
    Configuration,
    Finished,
    Network,
    SearchSpace,
    find_space,
    finish,
    prepare,
    reestimate_batch_norm,
    set_linearity,
    simulate,
    trace,
)

HARDWARE = "cpu-ort-1t"
N_IMAGES = 4
LIMITS = {"fp32": 1e-3, "int8": 0.99, "mixed": 0.99}
"""fp32: largest relative difference of the outputs; the others: least cosine of the outputs less their mean."""
TECHNIQUES = ("prune", "bits", "rank")


@dataclass
class Tried:
    """One configuration of a model.

    Attributes:
        kind: `fp32` (no bit-widths chosen), `int8` (every layer in int8 that can be) or `mixed` (drawn).
        n_choices: Sites that are not neutral.
        parameters: Share of the parameters that is left.
        agreement: Relative difference (fp32) or cosine (others) of ONNX Runtime's outputs and torch's.
        float_cosine: The same cosine against the network without any rounding: what quantization itself costs.
        own_cosine: The same cosine of the rounded torch network with itself, the images scaled by 1.0001: how far the
            network amplifies the least difference.
        otherwise: Where `agreement` is too small: values that the runtime rounds otherwise than torch, each layer given
            the runtime's own integers, out of `compared` ones.
        farthest: The distance of the farthest of these from a half, in steps.
        given_difference: Relative difference of the outputs, given the runtime's integers.
        n_missing: Layers that were to run in few bits and did not.
        size_bytes: The exported file.
        error: What went wrong; empty where nothing did.
    """

    kind: str
    n_choices: int = 0
    parameters: float = 0.0
    agreement: float = 0.0
    float_cosine: float = 0.0
    own_cosine: float = 0.0
    compared: int = 0
    otherwise: int = 0
    farthest: float = 0.0
    given_difference: float = 0.0
    n_missing: int = 0
    size_bytes: int = 0
    error: str = ""

    @property
    def has_passed(self) -> bool:
        """Whether the runtime computes what torch computes, in the precision that was asked for."""
        if self.error or self.n_missing:
            return False
        is_close = self.agreement <= LIMITS["fp32"] if self.kind == "fp32" else self.agreement >= LIMITS[self.kind]
        return is_close and self.n_choices > 0


@dataclass
class Outcome:
    """What became of one model.

    Attributes:
        covered_macs: Share of the MACs that lies in layers with a site, by technique.
        left_alone: The most frequent reasons, with the number of places.
        discovery_s: Tracing and finding all sites.
        one_configuration_s: Drawing, preparing, finishing, exporting and comparing the fp32 configuration.
        peak_memory: What all that takes at most, over the model's weights and its activations for the images.
    """

    model: str
    layers: int = 0
    macs: int = 0
    sites: dict[str, int] = field(default_factory=dict)
    covered_macs: dict[str, float] = field(default_factory=dict)
    left_alone: dict[str, int] = field(default_factory=dict)
    discovery_s: float = 0.0
    one_configuration_s: float = 0.0
    peak_memory: float = 0.0
    tried: list[Tried] = field(default_factory=list)
    error: str = ""


def run_model(name: str) -> Outcome:
    """Takes one model through everything; never raises."""
    torch.manual_seed(0)
    outcome = Outcome(name)
    try:
        _run(name, outcome)
    except Exception as error:  # the benchmark reports what fails, whatever it is
        outcome.error = _one_line(error)
    return outcome


def _run(name: str, outcome: Outcome) -> None:
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model = torchvision.models.get_model(name, weights=None, **options).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and not module.weight.any():  # a head that starts at zero says nothing
            torch.nn.init.trunc_normal_(module.weight, std=0.02)
    images = draw_images(299 if name == "inception_v3" else 224)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    before = _peak_bytes()
    started = time.perf_counter()
    network = trace(model, images[:2])
    space = find_space(network, load_profile(HARDWARE).capabilities)
    outcome.discovery_s = round(time.perf_counter() - started, 2)
    _describe(network, space, outcome)
    rng = random.Random(name)
    for kind in LIMITS:
        started = time.perf_counter()
        configuration = draw_configuration(space, kind, rng)
        outcome.tried.append(_try(network, configuration, kind, images, weights))
        if kind == "fp32":
            outcome.peak_memory = round((_peak_bytes() - before) / (weights + _activation_bytes(network)), 2)
            outcome.one_configuration_s = round(time.perf_counter() - started, 2)


def draw_images(size: int) -> Tensor:
    """Images that differ in grain, contrast and colour, as photographs do, shape (n, 3, size, size).

    Images of one statistic would not do: a random network's pooled outputs are then the same for all of them but for
    noise, and what is left of them less their mean is the rounding of the network, amplified.
    """
    contrasts = 0.1 * 30 ** torch.linspace(0, 1, N_IMAGES)
    images = []
    for position, contrast in enumerate(contrasts):
        grain = torch.randn(1, 3, 2 ** (1 + position % 7), 2 ** (1 + position % 7))
        pattern = torch.nn.functional.interpolate(grain, size=(size, size), mode="nearest")
        images.append(contrast * pattern + 0.5 * torch.randn(1, 3, 1, 1))
    return torch.cat([images[position] for position in torch.randperm(N_IMAGES)])


def draw_configuration(space: SearchSpace, kind: str, rng: random.Random) -> Configuration:
    """A random legal configuration in which about half of the sites are not neutral."""
    choices = {}
    for site in space.sites:
        if site.technique == "bits":
            drawn = {"fp32": 32, "int8": 8 if 8 in site.choices else 32, "mixed": rng.choice(site.choices)}[kind]
        else:
            drawn = rng.choice(site.choices[1:]) if rng.random() < 0.5 else site.neutral
        choices[site.name] = drawn
    return space.canonical(choices)


def _describe(network: Network, space: SearchSpace, outcome: Outcome) -> None:
    outcome.layers, outcome.macs = len(network.layers), network.macs
    outcome.sites = dict(collections.Counter(site.technique for site in space.sites))
    touched = {
        technique: {layer for s in space.sites if s.technique == technique for layer in s.layers}
        for technique in TECHNIQUES
    }
    touched["prune"] = {name for name, widths in space.widths.items() if widths.inputs or widths.output}
    outcome.covered_macs = {name: _share(network, layers) for name, layers in touched.items()}
    reasons = collections.Counter(f"{each.technique}: {each.reason}" for each in space.left_alone)
    outcome.left_alone = dict(reasons.most_common(12))


def _share(network: Network, layers: Iterable[str]) -> float:
    names = set(layers)
    return round(sum(layer.macs for layer in network.layers if layer.name in names) / network.macs, 4)


def _try(network: Network, configuration: Configuration, kind: str, images: Tensor, weights: int) -> Tried:
    tried = Tried(kind, len(configuration))
    try:
        module = prepare(network, configuration)
        set_linearity(module, 1.0)  # as after a fine-tune: statistics of the network that will be deployed
        reestimate_batch_norm(module, images, n_batches=1)
        finished = finish(module, configuration, images)
        tried.parameters = round(sum(p.numel() * p.element_size() for p in finished.module.parameters()) / weights, 3)
        _compare(finished, network, images, tried)
    except Exception as error:  # reported, not raised
        tried.error = _one_line(error)
    return tried


def _compare(finished: Finished, network: Network, images: Tensor, tried: Tried) -> None:
    profile = load_profile(HARDWARE)
    runtime = get_runtime(profile.runtime.name)
    with tempfile.TemporaryDirectory(prefix="parefront-zoo-") as folder:
        path = Path(folder) / "model.onnx"
        runtime.export(finished.module, tuple(each[:2] for each in network.example_inputs), finished.plan, path)
        tried.size_bytes = sum(each.stat().st_size for each in Path(folder).iterdir())
        session = runtime.open_session(path, profile.runtime.threads)
        actual = torch.from_numpy(session.run(images.numpy()))
        times = runtime.profile_operators(path, images[:1].numpy(), profile.runtime.threads, repeats=1)
        rounded = simulate(finished.module, finished.plan)
        with torch.no_grad():
            plain = finished.module(images)
            expected, nudged = rounded(images), rounded(images * 1.0001)
        if finished.plan.values and cosine(actual, expected) < LIMITS[tried.kind]:
            stepwise = compare_stepwise(path, rounded, images)
            tried.compared, tried.otherwise = stepwise.n_values, stepwise.n_otherwise
            tried.farthest, tried.given_difference = stepwise.farthest, stepwise.difference
    tried.n_missing = len(misexecuted_layers(finished, executed_precision(times)))
    tried.float_cosine = round(cosine(actual, plain), 5)
    tried.own_cosine = round(cosine(nudged, expected), 5)
    if tried.kind == "fp32":
        tried.agreement = float((actual - expected).abs().max() / expected.abs().max())
    else:
        tried.agreement = round(cosine(actual, expected), 5)


def cosine(actual: Tensor, expected: Tensor) -> float:
    """Cosine of two sets of outputs, shape (n, classes), less their mean over the inputs."""
    a, b = ((each - each.mean(0)).flatten().double() for each in (actual, expected))
    return float(a @ b / (a.norm() * b.norm()).clamp_min(1e-30))


def _activation_bytes(network: Network) -> int:
    """Bytes of everything that one forward of all the images computes."""
    metas = [node.meta.get("tensor_meta") for node in network.module.graph.nodes]
    n_values = sum(meta.shape.numel() for meta in metas if hasattr(meta, "shape"))
    return 4 * n_values * N_IMAGES // len(network.example_inputs[0])


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kilobytes on Linux


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:400]


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(asdict(run_model(sys.argv[1]))))
