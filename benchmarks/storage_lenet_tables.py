"""What `benchmarks.storage_lenet` reached, for people: which file counts, each round, the paper's table per layer."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.lenet_data import NETWORKS

TOLERANCE_PT = 0.5
"""Points below the reference that still count as next to no loss."""


def chosen(result: Mapping[str, Any], aim: float) -> dict[str, Mapping[str, Any]]:
    """Of one seed: the smallest file at no loss and at half a point, as validation says, and the first that is small
    enough. What none is small or good enough for is left out.
    """
    reference, rounds = result["dense"][0], result["rounds"]
    found = {}
    for name, loss in (("at no loss", 0.0), ("at half a point", TOLERANCE_PT)):
        good = [each for each in rounds if each["validation_accuracy"] >= reference - loss]
        if good:
            found[name] = min(good, key=lambda each: each["n_bytes"])
    small = [each for each in rounds if each["ratio"] >= aim]
    if small:
        found["first at the aim"] = max(small, key=lambda each: each["n_bytes"])
    return found


def _spread(values: Sequence[float], form: str) -> str:
    mean, low, high = (format(each, form) for each in (statistics.fmean(values), min(values), max(values)))
    return f"{mean} ({low} to {high})"


def print_network(name: str, results: Sequence[Mapping[str, Any]]) -> None:
    """What was reached, each round, and the table per layer of the first seed's file at no loss."""
    aim = NETWORKS[name].aim
    by_seed = [chosen(result, aim) for result in results]
    print(f"\n{name}, {len(results)} seeds; aim {aim:g}x; mean (least to most)")
    for kind in ("at no loss", "at half a point", "first at the aim"):
        pairs = [(found[kind], result) for found, result in zip(by_seed, results, strict=True) if kind in found]
        if len(pairs) < len(results):
            print(f"  {kind}: none in {len(results) - len(pairs)} of {len(results)} seeds")
        if pairs:
            ratios = _spread([each["ratio"] for each, _ in pairs], ".1f")
            removed = _spread([100 * each["removed_share"] for each, _ in pairs], ".1f")
            drops = _spread([result["dense"][1] - each["test_accuracy"] for each, result in pairs], "+.2f")
            print(f"  {kind}: {ratios} x, {removed} % of the weights removed, test drop {drops} pt")
    print("  round    ratio  removed  validation gain  test gain")
    for i, rounds in enumerate(zip(*(result["rounds"] for result in results), strict=True), 1):
        means = [statistics.fmean(each[key] for each in rounds) for key in ("ratio", "removed_share")]
        gains = [
            statistics.fmean(each[key] - result["dense"][j] for each, result in zip(rounds, results, strict=True))
            for j, key in enumerate(("validation_accuracy", "test_accuracy"))
        ]
        print(f"  {i:>5}{means[0]:>8.1f}x{means[1]:>9.1%}{gains[0]:>+17.2f}{gains[1]:>+11.2f}")
    if shown := by_seed[0].get("at no loss") or by_seed[0].get("first at the aim"):
        print_layers(shown["layers"])


def print_layers(rows: Sequence[Mapping[str, Any]]) -> None:
    """The table of one file; coded bits are per weight that stays."""
    print("  layer  weights     kept  index bits (coded)  gap bits (coded)  entropy gain    bytes    ratio")
    for row in rows:
        index = f"{row['value_bits']} ({row['coded_value_bits']:.2f})"
        # Where all entries are stored, the zeros too, their bits are in those of the index.
        gap = "-" if row["gap_bits"] is None else f"{row['gap_bits']} ({row['coded_gap_bits']:.2f})"
        print(
            f"  {row['layer']:>5}{row['n_weights']:>9,}{row['kept_share']:>9.2%}{index:>20}{gap:>18}"
            f"{row['entropy_gain']:>14.1%}{row['n_bytes']:>9,}{row['ratio']:>8.1f}x"
        )
