"""What the search itself costs: a proposal of ours with many trials told, and the hypervolume of large fronts."""

from __future__ import annotations

import itertools
import math
import random
import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.search_quality_figures import Figures
from parefront.evaluators.cost_tables import CostTables
from parefront.evaluators.evaluator import Score
from parefront.search.pareto import hypervolume
from parefront.search.proposer import TableProposer
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import Choice, Configuration, SearchSpace, Site
from parefront.spaces.layer_widths import LayerWidths
from parefront.spaces.network import Layer

N_TOLD = (1_000, 10_000)
N_LAYERS = 20
"""Each with a site for its width, its bits and its rank."""
N_TIMED = 9
N_WARMING = 40
"""Proposals after which the costs of most layers that come up are known."""
SEED_WORD = "uniform"
"""Begins the origins of proposals that are not screened."""
FRONTS = ((2, 10_000), (3, 10_000), (4, 500))


def ask_figures(n_told: Sequence[int] = N_TOLD, n_timed: int = N_TIMED) -> Figures:
    """Median CPU and wall milliseconds of one proposal, and how much memory grows from one proposal to the next.

    First of a search that goes on after it was stopped, then (`warm`) of one that has been running for a while.

    The trials are synthetic, 60 sites, three objectives; a result is told between two proposals, as in a search.
    """
    space = synthetic_space()
    figures: Figures = {"ask_sites": len(space.sites)}
    for n in n_told:
        proposer = TableProposer(space, CostTables(space), synthetic_damages(space), 0)
        rng = random.Random(n)
        for number in range(n):
            proposer.tell(synthetic_trial(space, number, draw(space, rng) if number else Configuration()))
        number = n + _end_seeds(proposer, space, n)
        for words, n_before in (("ask", 0), ("ask_warm", N_WARMING)):
            _timed(proposer, space, number, n_before)
            memory = _memory_mb()
            wall_ms, cpu_ms = _timed(proposer, space, number + n_before, n_timed)
            figures[f"{words}_ms_{n}"] = round(statistics.median(wall_ms), 1)
            figures[f"{words}_cpu_ms_{n}"] = round(statistics.median(cpu_ms), 1)
            figures[f"{words}_memory_mb_{n}"] = round((_memory_mb() - memory) / n_timed, 3)
            number += n_before + n_timed
    return figures


def _timed(proposer: TableProposer, space: SearchSpace, first: int, n: int) -> tuple[list[float], list[float]]:
    """Wall and CPU milliseconds of n proposals, each told before the next."""
    wall_ms, cpu_ms = [], []
    for number in range(first, first + n):
        cpu, wall = time.process_time(), time.perf_counter()
        (proposal,) = proposer.ask(1)
        cpu_ms.append(1e3 * (time.process_time() - cpu))
        wall_ms.append(1e3 * (time.perf_counter() - wall))
        proposer.tell(synthetic_trial(space, number, proposal.configuration))
    return wall_ms, cpu_ms


def _end_seeds(proposer: TableProposer, space: SearchSpace, n_told: int) -> int:
    """Lets the uniform configurations pass, which cost next to nothing; gives how many there were."""
    for n_seeds in itertools.count(1):
        (proposal,) = proposer.ask(1)
        trial = synthetic_trial(space, n_told + n_seeds - 1, proposal.configuration)
        proposer.tell(replace(trial, origin=proposal.origin))
        if not proposal.origin.startswith(SEED_WORD):
            return n_seeds
    raise AssertionError("the seeds end")


def hypervolume_figures() -> Figures:
    """Seconds for the hypervolume of fronts: points on a sphere, none of which dominates another."""
    figures: Figures = {}
    for n_objectives, n_points in FRONTS:
        points = [tuple(row) for row in sphere(n_points, n_objectives).tolist()]
        started = time.perf_counter()
        hypervolume(points, (1.0,) * n_objectives)
        figures[f"hypervolume_s_{n_objectives}d_{n_points}"] = round(time.perf_counter() - started, 4)
    return figures


def sphere(n_points: int, n_objectives: int) -> NDArray[np.float64]:
    """Points of the unit sphere around (1, ..., 1) on the side of the origin, shape (points, objectives)."""
    drawn = np.abs(np.random.default_rng(0).standard_normal((n_points, n_objectives)))
    surface: NDArray[np.float64] = 1.0 - drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return surface


def synthetic_space(n_layers: int = N_LAYERS) -> SearchSpace:
    """A chain of 3 x 3 convolutions of 64 channels on 16 x 16 pixels, three sites each."""
    sites, widths = [], {}
    for position in range(n_layers):
        name = f"layer{position:02}"
        sites += [
            Site(f"prune/{name}", (name,), (64, 56, 48, 40, 32, 24, 16, 8)),
            Site(f"bits/{name}", (name,), (32, 8)),
            Site(f"rank/{name}", (name,), ("full", "spatial:48", "spatial:32", "spatial:16", "spatial:8")),
        ]
        before = ((f"prune/layer{position - 1:02}", 64, 64),) if position else ()
        layer = Layer(name, "conv", 64, 64, (3, 3), (1, 1), 1, 256)
        widths[name] = LayerWidths(layer, before, (f"prune/{name}", 64))
    return SearchSpace(tuple(sorted(sites, key=lambda site: site.technique)), (), widths)


def synthetic_damages(space: SearchSpace) -> dict[str, dict[Choice, float]]:
    """Rising along the choices of every site."""
    return {
        site.name: {choice: position / (len(site.choices) - 1) for position, choice in enumerate(site.choices)}
        for site in space.sites
    }


def draw(space: SearchSpace, rng: random.Random) -> Configuration:
    """A configuration with a random share of its sites chosen."""
    share = rng.random()
    return space.canonical({s.name: rng.choice(s.choices) for s in space.sites if rng.random() < share})


def synthetic_trial(space: SearchSpace, number: int, configuration: Configuration) -> Trial:
    """A trial whose scores follow from its choices by a formula with some noise; for timing, not for quality."""
    rng = random.Random(configuration.to_json())
    depths = [
        s.choices.index(configuration[s.name]) / (len(s.choices) - 1) for s in space.sites if s.name in configuration
    ]
    strength = sum(depths) / len(space.sites)
    latency = math.exp(-2.0 * strength + rng.gauss(0, 0.02)) if depths else 1.0
    drop = 20 * strength**2 + rng.gauss(0, 0.1) if depths else 0.0
    size = 1e6 * math.exp(-2.5 * strength) if depths else 1e6
    share = 1e3 * latency / len(space.widths)
    scores = (
        Score("accuracy", 90 - drop, "%", is_higher_better=True),
        Score("accuracy_drop", drop, "pt", is_higher_better=False, low=drop - 0.5, high=drop + 0.5),
        Score("latency_ms", latency, "ms", is_higher_better=False, low=0.99 * latency, high=1.01 * latency),
        Score("size_bytes", size, "bytes", is_higher_better=False),
        Score("macs", size, "MACs", is_higher_better=False),
    )
    return Trial(
        number,
        configuration,
        Fidelity.SHORT,
        State.COMPLETE,
        {score.name: score for score in scores},
        origin="synthetic",
        details={"operators": [[layer, "Conv", "fp32", round(share, 2)] for layer in space.widths]},
    )


def _memory_mb() -> float:
    """The most memory that this process ever had, in MB (Linux counts it in kB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
