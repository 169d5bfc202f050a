"""All torchvision classification models through discovery, three random configurations, export and ONNX Runtime.

    python -m benchmarks.zoo [--models NAME ...] [--all] [--fresh] [--jobs N]

Weights are random: what is checked is structure, not accuracy. Each model runs in a process of its own; what is done is
kept in `benchmarks/results/zoo.json` after every model, so that a run started again goes on. `docs/coverage.md` is
written from it. The few models of more than 400 million parameters run with `--all`.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import re
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torchvision

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "zoo.json"
COVERAGE = ROOT / "docs" / "coverage.md"
GIANTS = frozenset({"regnet_y_128gf", "vit_h_14"})
TRANSFORMERS = ("vit", "swin", "maxvit")
LEAST_COVERED = {True: 0.6, False: 0.8}
"""Share of the MACs that every technique must reach, by whether the model is a transformer."""
FARTHEST = 0.01
"""Steps from a half within which a value may be rounded otherwise than in torch, see `zoo_steps`."""
TIMEOUT_S = 1800

Outcome = dict[str, Any]  # one model's JSON


def main() -> None:
    """Runs what is missing, writes results and page, prints the figures as its last line."""
    arguments = _arguments()
    done = {} if arguments.fresh or not RESULTS.exists() else json.loads(RESULTS.read_text())["models"]
    known = torchvision.models.list_models(module=torchvision.models)
    wanted = arguments.models or [name for name in known if arguments.all or name not in GIANTS]
    missing = [name for name in wanted if arguments.models or name not in done]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        running = {pool.submit(_run, name): name for name in missing}
        for position, future in enumerate(as_completed(running), start=1):
            outcome = future.result()
            done[running[future]] = outcome
            print(f"[{position}/{len(missing)}] {_line(outcome)}", flush=True)
            _write(done)
    figures = _write(done)
    print(json.dumps(figures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", help="only these, again")
    parser.add_argument("--all", action="store_true", help="the giants too")
    parser.add_argument("--fresh", action="store_true", help="forget what is done")
    parser.add_argument("--jobs", type=int, default=1, help="models at a time")
    return parser.parse_args()


def _run(name: str) -> Outcome:
    command = [sys.executable, "-m", "benchmarks.zoo_model", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, cwd=ROOT, check=False)
    except subprocess.TimeoutExpired:
        return {"model": name, "error": f"took more than {TIMEOUT_S} s"}
    if done.returncode:
        return {"model": name, "error": f"ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"}
    outcome: Outcome = json.loads(done.stdout.splitlines()[-1])
    return outcome


def objections(outcome: Outcome, *, is_stepwise: bool = False) -> list[str]:
    """Why a model does not pass: an error, a configuration that differs, too little covered. Empty where it passes.

    Args:
        outcome: What became of the model.
        is_stepwise: Whether outputs that differ are excused where each layer, given the runtime's integers, agrees.
    """
    if outcome.get("error"):
        return [str(outcome["error"])]
    found = [
        f"{tried['kind']}: {_wrong(tried)}"
        for tried in outcome["tried"]
        if _wrong(tried) and not (is_stepwise and _agrees_stepwise(tried))
    ]
    least = LEAST_COVERED[outcome["model"].startswith(TRANSFORMERS)]
    found += [
        f"{technique} covers {share:.0%} of the MACs, less than {least:.0%}"
        for technique, share in outcome["covered_macs"].items()
        if share < least
    ]
    return found


def _wrong(tried: Outcome) -> str:
    if tried["error"]:
        return str(tried["error"])
    if tried["n_missing"]:
        return f"{tried['n_missing']} layers did not execute in the bits that were chosen"
    if not tried["n_choices"]:
        return "nothing could be chosen"
    if tried["kind"] == "fp32":
        return "" if tried["agreement"] <= 1e-3 else f"differs by {tried['agreement']:.1e}"
    if tried["agreement"] >= 0.99:
        return ""
    text = f"cosine {tried['agreement']:.4f} (of the torch network with itself, nudged: {tried['own_cosine']:.4f})"
    if not tried.get("compared"):
        return text
    return (
        f"{text}; given the runtime's integers, {tried['otherwise']} of {tried['compared']} values are rounded "
        f"otherwise, none farther than {tried['farthest']:.4f} steps from a half, and the outputs differ by "
        f"{tried['given_difference']:.0e}"
    )


def _agrees_stepwise(tried: Outcome) -> bool:
    if tried["error"] or tried["n_missing"] or not tried.get("compared"):
        return False
    return bool(tried["farthest"] <= FARTHEST and tried["given_difference"] <= 1e-3)


def _line(outcome: Outcome) -> str:
    wrong = objections(outcome)
    sites = " ".join(f"{name} {n}" for name, n in outcome.get("sites", {}).items())
    return f"{outcome['model']:<20} {'FAILED: ' + '; '.join(wrong) if wrong else 'passed'}  ({sites})"


def _write(done: dict[str, Outcome]) -> dict[str, Any]:
    outcomes = [done[name] for name in sorted(done)]
    passed = [each for each in outcomes if not objections(each)]
    stepwise = [each for each in outcomes if not objections(each, is_stepwise=True)]
    total = len(torchvision.models.list_models(module=torchvision.models))
    figures = {
        "passed": len(passed),
        "passed_stepwise": len(stepwise),
        "run": len(outcomes),
        "total": total,
        "median_discovery_s": statistics.median(each.get("discovery_s", 0.0) for each in outcomes)
        if outcomes
        else None,
        "torch": importlib.metadata.version("torch"),
        "torchvision": importlib.metadata.version("torchvision"),
        "onnxruntime": importlib.metadata.version("onnxruntime"),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"figures": figures, "models": {each["model"]: each for each in outcomes}}, indent=1))
    COVERAGE.parent.mkdir(exist_ok=True)
    COVERAGE.write_text(_page(figures, outcomes))
    return figures


def _page(figures: dict[str, Any], outcomes: list[Outcome]) -> str:
    lines = [
        "# What is covered",
        "",
        "Written by `python -m benchmarks.zoo`. Every torchvision classification model (random weights, 224 x 224,",
        "inception_v3 299 x 299) is traced, its sites are found, and three random legal configurations are prepared,",
        "exported, loaded in ONNX Runtime and compared with the same compressed network in torch: one in fp32",
        "(outputs equal to 1e-3), one with every layer in int8 that can be, one with bit-widths drawn (cosine of the",
        "outputs less their mean at least 0.99, every layer executed in the bits that were chosen; BatchNorm",
        "re-estimated first).",
        "A model passes if all three agree and sites of pruning, bit-widths and ranks each cover at least 80 % of a",
        "convolutional network's MACs and 60 % of a transformer's.",
        "",
        f"**{figures['passed']} of {figures['total']} pass** ({figures['run']} were run; torch {figures['torch']},",
        f"torchvision {figures['torchvision']}, ONNX Runtime {figures['onnxruntime']}). The int8 and mixed columns are",
        "the cosine against the same rounding in torch, and in brackets that of the torch network with itself when its",
        "images are scaled by 1.0001: how far random weights amplify the least difference. Integer convolutions, sums",
        "and products agree to the last bit; float layers between them sum in another order than torch's, so that now",
        "and then a value next to a half is rounded otherwise, which such a network carries on to its outputs. Those",
        "models fail here all the same. Each layer of theirs was also compared given the runtime's integers before it,",
        f"so that nothing adds up: **{figures['passed_stepwise']} of {figures['total']}** pass by their outputs or so",
        f"(no value that is rounded otherwise lies farther than {FARTHEST} steps from a half, and the outputs are then",
        "equal to 1e-3).",
        "",
        "Discovery is in seconds of wall time beside whatever else ran, which makes it much longer than alone:",
        "`python -m benchmarks.discovery NAME` times one model on one core.",
        "",
        "| model | layers | MACs | prune | bits | rank | folds | fp32 difference | int8 | mixed | discovery s | |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
        *[_row(each) for each in outcomes],
        "",
        "## What does not pass",
        "",
    ]
    failures = [f"- `{each['model']}`: {'; '.join(objections(each))}" for each in outcomes if objections(each)]
    names = set(torchvision.models.list_models(module=torchvision.models)) - {each["model"] for each in outcomes}
    failures += [f"- `{name}`: not run (more than 400 million parameters: `--all`)" for name in sorted(names)]
    lines += failures or ["Nothing."]
    lines += ["", "## What is left alone, and why", ""]
    lines += [f"- {reason} ({n} places, for example in `{model}`)" for reason, (n, model) in _reasons(outcomes).items()]
    return "\n".join(lines) + "\n"


def _row(outcome: Outcome) -> str:
    if outcome.get("error"):
        return f"| {outcome['model']} | | | | | | | | | | | {outcome['error']} |"
    covered = outcome["covered_macs"]
    tried = {each["kind"]: each for each in outcome["tried"]}
    cells = [
        outcome["model"],
        str(outcome["layers"]),
        f"{outcome['macs'] / 1e9:.2f} G",
        *[f"{covered[technique]:.0%}" for technique in ("prune", "bits", "rank")],
        str(outcome["sites"].get("fold", 0)),
        f"{tried['fp32']['agreement']:.0e}",
        *[f"{tried[kind]['agreement']:.4f} ({tried[kind]['own_cosine']:.3f})" for kind in ("int8", "mixed")],
        f"{outcome['discovery_s']:.1f}",
        "fails" if objections(outcome) else "passes",
    ]
    return f"| {' | '.join(cells)} |"


def _reasons(outcomes: list[Outcome]) -> dict[str, tuple[int, str]]:
    """Number of places and a model by reason, sizes and names taken out, most frequent first."""
    found: dict[str, tuple[int, str]] = {}
    for outcome in outcomes:
        for reason, n in outcome.get("left_alone", {}).items():
            wording = re.sub(r"\d+(\.\d+)?", "N", re.sub(r"'[^' ]+'|'\[.*?\]'", "…", reason))
            wording = re.sub(r"N(, N)+", "N, …", wording)
            count, model = found.get(wording, (0, outcome["model"]))
            found[wording] = (count + n, model)
    return dict(sorted(found.items(), key=lambda item: -item[1][0]))


if __name__ == "__main__":
    main()
