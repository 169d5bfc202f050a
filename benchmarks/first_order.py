"""How well the effects of single choices are estimated from derivatives, and what accuracy their sums foretell.

    python -m benchmarks.first_order [--surfaces NAME ...] [--folder DIR] [--out FILE]

On the networks of `benchmarks/search_quality`, nothing trained beside them. By technique:

- **`rank_correlation`**: Spearman's, of `first_order_divergences` with what `OutputDivergence` measures of every
  choice; **`error_median`**, **`error_90`**: of the logarithm of their ratio, its absolute value, where .001 and more
  is measured.
- **`estimate_s`**, **`measure_s`**: CPU seconds for the whole table either way; **`evaluation_s`**: of an evaluation.

Over all configurations that were ever evaluated on the surface (`DIR/SURFACE.jsonl`, see `make search-quality`):

- **`drop_rank_correlation`**: Spearman's, of the sum of the measured divergences of a configuration's choices with its
  drop, of those within the surface's largest drop; **`of_estimates`**: the same with the estimates.
- **`drop_at`**: the median drop in points where the sum is about .03, .1 and .5 (within a fifth).

Writes `benchmarks/results/first_order.json` and prints the figures.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.search_quality_networks import SPECS
from benchmarks.search_quality_surface import Surface, load_surface
from parefront.evaluators.first_order import first_order_divergences
from parefront.evaluators.output_divergence import OutputDivergence
from parefront.evaluators.sensitivity import Damages
from parefront.hardware_profiles.errors import ParefrontError
from parefront.search.screening import rank_correlation
from parefront.spaces import Configuration

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "first_order.json"
LEAST = 1e-3
SUMS = (0.03, 0.1, 0.5)
AROUND = 1.2
Figures = dict[str, Any]  # part of the JSON


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--surfaces", nargs="*", choices=SPECS, default=list(SPECS))
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "search-quality")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    figures = {name: surface_figures(load_surface(name, arguments.folder)) for name in arguments.surfaces}
    arguments.out.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures))


def surface_figures(surface: Surface) -> Figures:
    """All figures of one network."""
    first_order_divergences(surface.network, surface.space, surface.calibration)  # factors are computed once
    started = time.process_time()
    estimates = first_order_divergences(surface.network, surface.space, surface.calibration)
    estimate_s, started = time.process_time() - started, time.process_time()
    measured = measure(surface)
    return {
        "estimate_s": round(estimate_s, 2),
        "measure_s": round(time.process_time() - started, 2),
        "evaluation_s": round(surface.evaluation_s, 2),
        "techniques": {name: agreement(estimates, measured, name) for name in sorted(techniques(surface))},
        **drop_figures(surface, measured, estimates),
    }


def techniques(surface: Surface) -> set[str]:
    """Of its sites."""
    return {site.technique for site in surface.space.sites}


def measure(surface: Surface) -> Damages:
    """Every choice alone; what cannot be finished counts as the worst."""
    divergence = OutputDivergence(surface.network, surface.calibration)

    def of(configuration: Configuration) -> float:
        try:
            return divergence.of(configuration)
        except ParefrontError:
            return 1.0

    return {
        site.name: {site.neutral: 0.0, **{each: of(Configuration.of({site.name: each})) for each in site.choices[1:]}}
        for site in surface.space.sites
    }


def agreement(estimates: Damages, measured: Damages, technique: str) -> Figures:
    """Of the choices of one technique."""
    pairs = [
        (estimates[name][choice], value)
        for name, values in measured.items()
        if name.startswith(f"{technique}/")
        for choice, value in list(values.items())[1:]
    ]
    errors = [abs(float(np.log(max(said, 1e-9) / value))) for said, value in pairs if value >= LEAST]
    correlation = rank_correlation(*zip(*pairs, strict=True))
    return {
        "n_choices": len(pairs),
        "rank_correlation": None if correlation is None else round(correlation, 3),
        "error_median": round(statistics.median(errors), 2) if errors else None,
        "error_90": round(float(np.quantile(errors, 0.9)), 2) if errors else None,
    }


def drop_figures(surface: Surface, measured: Damages, estimates: Damages) -> Figures:
    """What the sums over a configuration's choices say of its drop."""
    known = [(Configuration.from_json(key), drop) for key, drop in surface.known_drops().items()]
    drops = np.array([drop for _, drop in known])
    sums = np.array([total(measured, configuration) for configuration, _ in known])
    estimated = np.array([total(estimates, configuration) for configuration, _ in known])
    counts = drops < surface.spec.max_drop
    at = {each: drops[(sums > each / AROUND) & (sums < each * AROUND)] for each in SUMS}
    return {
        "n_configurations": len(known),
        "drop_rank_correlation": _rounded(rank_correlation(sums[counts].tolist(), drops[counts].tolist())),
        "of_estimates": _rounded(rank_correlation(estimated[counts].tolist(), drops[counts].tolist())),
        "drop_at": {str(each): round(float(np.median(found)), 1) for each, found in at.items() if len(found)},
    }


def total(damages: Damages, choices: Mapping[str, Any]) -> float:
    """Of all choices of a configuration."""
    return sum(damages[name][choice] for name, choice in choices.items())


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


if __name__ == "__main__":
    main()
