"""How many weights of LeNet-300-100 go at no loss: std-threshold pruning with retraining on scikit-learn's digits.

    python -m benchmarks.lenet [--seeds N]

The network of Deep Compression (Han et al. 2016; there about 92 % of the weights go, on MNIST at 28 x 28), on the 8 x 8
digits as they are: 64-300-100-10. Each round masks out what is below `quality` standard deviations of what is left of a
layer, and trains the rest again. The dense network is trained again just as often, so that the pruned one does not
win by training longer alone; the reference is the better of the two dense ones on validation. What counts is the
sparsest round whose validation accuracy is not below it; and, because one digit of 360 is .28 points, also the sparsest
that is at most half a point below. Test accuracy is given beside, and chose nothing.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.tasks.digits import N_TRAIN_ORIGINALS, N_VALIDATION_ORIGINALS, normalise
from parefront.tasks.task import classification_hits
from parefront.training import Split, TrainingRecipe, finetune, predict
from parefront.training.hooks import Hook
from parefront.training.layer_rows import matrix_layers
from parefront.training.masks import Masks, masks_by_threshold, overall_density, prune_iteratively

QUALITIES = tuple(0.4 + 0.06 * i for i in range(12))
"""Standard deviations of what is left, by round."""
TOLERANCE_PT = 0.5
"""Points below the reference that still count as next to no loss."""
LAST_LAYER, LAST_SHARE = "4", 0.5
"""The classifier is the most sensitive layer and has 2 % of the weights: its quality is so much of the others'."""
BASELINE = TrainingRecipe(n_epochs=30, learning_rate=0.1, weight_decay=5e-4)
RETRAINING = TrainingRecipe(n_epochs=20, learning_rate=0.05, weight_decay=5e-4)


@dataclass(frozen=True, slots=True)
class Round:
    """What a network is worth at a share of removed weights; accuracies in percent."""

    removed_share: float
    validation_accuracy: float
    test_accuracy: float


def build_lenet() -> nn.Sequential:
    """64-300-100-10, 50,200 weights."""
    return nn.Sequential(nn.Linear(64, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))


def load_splits(seed: int) -> tuple[Split, Split, Split]:
    """1,077 digits for training, 360 for validation, 360 for the test, drawn by the seed."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    images = normalise(torch.tensor(loaded.data, dtype=torch.float32) / 16.0)
    classes = torch.tensor(loaded.target)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    ends = (N_TRAIN_ORIGINALS, N_TRAIN_ORIGINALS + N_VALIDATION_ORIGINALS)
    train, validation, test = torch.tensor_split(order, ends)
    return tuple(Split(images[part], classes[part]) for part in (train, validation, test))  # type: ignore[return-value]


def run(seed: int) -> dict[str, Any]:
    """One network, pruned round by round.

    Returns:
        `at_no_loss`, `at_half_a_point` and all `rounds`, each with its `removed_share` of the weights and its
        accuracies in percent; `dense_validation_accuracy` and `dense_test_accuracy` of the reference.
    """
    train, validation, test = load_splits(seed)
    torch.manual_seed(seed)
    dense = build_lenet()

    def retrain(module: nn.Module, *hooks: Hook, recipe: TrainingRecipe = RETRAINING) -> None:
        finetune(module, train, recipe, functional.cross_entropy, seed=seed, hooks=hooks)

    retrain(dense, recipe=BASELINE)
    pruned = copy.deepcopy(dense)
    reference, dense_test = _accuracy(dense, validation), _accuracy(dense, test)
    for _ in QUALITIES:
        retrain(dense)
    if (accuracy := _accuracy(dense, validation)) > reference:
        reference, dense_test = accuracy, _accuracy(dense, test)
    rounds = [Round(0.0, reference, dense_test)]
    for masks in prune_iteratively(pruned, [partial(_select, quality=each) for each in QUALITIES], retrain):
        rounds.append(Round(1 - overall_density(masks), _accuracy(pruned, validation), _accuracy(pruned, test)))
    return {
        "seed": seed,
        "dense_validation_accuracy": reference,
        "dense_test_accuracy": dense_test,
        "at_no_loss": asdict(_sparsest(rounds, reference)),
        "at_half_a_point": asdict(_sparsest(rounds, reference - TOLERANCE_PT)),
        "rounds": [asdict(each) for each in rounds[1:]],
    }


def _sparsest(rounds: list[Round], least: float) -> Round:
    return max((each for each in rounds if each.validation_accuracy >= least), key=lambda each: each.removed_share)


def _select(module: nn.Module, within: Masks | None, quality: float) -> Masks:
    qualities = dict.fromkeys(matrix_layers(module), quality) | {LAST_LAYER: LAST_SHARE * quality}
    return masks_by_threshold(module, qualities, within)


def _accuracy(module: nn.Module, split: Split) -> float:
    hits: Tensor = classification_hits(predict(module, split), split.targets)
    return 100 * float(hits.mean())


def main() -> None:
    """Prints one line per seed, the mean, and as the last line the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    n_seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    results = []
    for seed in range(n_seeds):
        results.append(run(seed))
        dense = results[-1]["dense_validation_accuracy"], results[-1]["dense_test_accuracy"]
        print(f"seed {seed}: dense {dense[0]:.2f} %, test {dense[1]:.2f} %", flush=True)
    for name in ("at_no_loss", "at_half_a_point"):
        shares = [result[name]["removed_share"] for result in results]
        drops = [result["dense_test_accuracy"] - result[name]["test_accuracy"] for result in results]
        print(
            f"removed {name.replace('_', ' ')}: mean {statistics.fmean(shares):.1%}, from {min(shares):.1%} to "
            f"{max(shares):.1%}; test drop {statistics.fmean(drops):.2f} pt, from {min(drops):.2f} to {max(drops):.2f}"
        )
    print("points above the dense network, mean over the seeds:    removed  validation   test")
    for rounds in zip(*(result["rounds"] for result in results), strict=True):
        removed = statistics.fmean(each["removed_share"] for each in rounds)
        gains = (
            statistics.fmean(
                each[f"{part}_accuracy"] - result[f"dense_{part}_accuracy"]
                for each, result in zip(rounds, results, strict=True)
            )
            for part in ("validation", "test")
        )
        print(f"{removed:>63.1%}" + "".join(f"{gain:>+10.2f}" for gain in gains))
    print(json.dumps({"lenet": results}))


if __name__ == "__main__":
    main()
