"""Deep Compression (Han et al. 2016) of LeNet-300-100 and LeNet-5: how much smaller the file gets at no accuracy lost.

    python -m benchmarks.storage_lenet [--seeds N] [--network NAME] [--mnist FOLDER]

On scikit-learn's digits at 28 x 28, on MNIST where a folder is given. A network is trained, then pruned round by round:
what is below `QUALITY` standard deviations of what is left of a layer goes, and the rest is trained again. After each
round the weights that stay share 2^`BITS` - 1 values per layer, zero being one more, the values are trained, and
everything is packed into a `.pare` file. The dense network learns from the same teacher (its first self) just as long,
so that nothing is won by training longer alone; the reference is the better of the two dense ones on validation.

What counts is the smallest file whose validation accuracy is not below the reference, and, because one digit of 360 is
.28 points, the smallest that is at most half a point below. The first file that meets the aim is shown too: no accuracy
chose it. Test accuracy is given beside, and chose nothing. Files are counted whole, against 4 bytes per parameter.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from benchmarks.lenet_data import NETWORKS, digits_data, mnist_data
from benchmarks.storage_lenet_tables import print_network
from parefront.packing import CodedWeight, account, pack, unpack
from parefront.packing.account import GAPS
from parefront.tasks import TaskData
from parefront.tasks.task import classification_hits
from parefront.training import Hook, KeepMasked, Split, Teacher, TrainingRecipe, finetune, predict
from parefront.training.layer_rows import matrix_layers
from parefront.training.masks import Masks, masks_by_threshold, overall_density, prune_iteratively
from parefront.training.weight_sharing import WeightSharing

QUALITY, N_ROUNDS = 0.8, 8
"""Standard deviations of what is left of a layer, below which a weight goes in a round, and rounds."""
SMALL, SMALL_SHARE = 0.1, 0.5
"""Layers with less than this share of the weights are the convolutions and the classifier, where pruning gains least
and costs most: their quality is so much of the others'."""
BITS = 3
"""Of an index. Five in the small layers was tried for LeNet-5: no more accurate, and the files are an eighth larger."""
DISTILLATION = 0.7
"""Share of the loss that follows the dense network as it was first trained."""


@dataclass(frozen=True, slots=True)
class Passes:
    """How often each training shows the training split."""

    baseline: float
    retraining: float
    sharing: float


DIGITS, MNIST = Passes(30, 10, 8), Passes(8, 2, 1)


@dataclass(frozen=True, slots=True)
class Packed:
    """What a network is worth as one file; accuracies in percent.

    Attributes:
        ratio: 4 bytes per parameter over the bytes of the file.
        removed_share: Of the weights.
        layers: The table's rows, see `layer_rows`.
    """

    n_bytes: int
    ratio: float
    removed_share: float
    validation_accuracy: float
    test_accuracy: float
    layers: Sequence[Mapping[str, Any]]


class Bench:
    """One network on one draw of the data."""

    def __init__(self, name: str, data: TaskData, passes: Passes, seed: int) -> None:
        """Trains it."""
        self._data, self._passes, self._seed = data, passes, seed
        torch.manual_seed(seed)
        self.dense = NETWORKS[name].build()
        self._teacher: Teacher | None = None
        self._train(self.dense, passes.baseline, 0.1)
        self._teacher = Teacher(predict(self.dense, data.train))

    def run(self) -> dict[str, Any]:
        """The reference, and every packed network, round by round."""
        pruned, accuracy = copy.deepcopy(self.dense), self._accuracies(self.dense)
        for _ in range(N_ROUNDS):
            self._train(self.dense, self._passes.retraining)
        self._train(self.dense, self._passes.sharing)
        return {
            "seed": self._seed,
            "dense": max(accuracy, self._accuracies(self.dense)),
            "rounds": [asdict(each) for each in self._rounds(pruned)],
        }

    def _rounds(self, module: nn.Sequential) -> Iterator[Packed]:
        retrain = partial(self._retrain, n_passes=self._passes.retraining)
        for masks in prune_iteratively(module, [_select] * N_ROUNDS, retrain):
            shared = copy.deepcopy(module)
            sharing = WeightSharing(dict.fromkeys(masks, BITS), duration=1.0)
            self._train(shared, self._passes.sharing, 0.05, KeepMasked(masks), sharing)
            yield self._packed(shared, sharing.weights, masks)

    def _packed(self, module: nn.Sequential, weights: Mapping[str, CodedWeight], masks: Masks) -> Packed:
        coded = {f"{name}.weight": each for name, each in weights.items()}
        data = pack({name: coded.get(name, value) for name, value in module.state_dict().items()}, {})
        restored = {
            name: each.decode() if isinstance(each, CodedWeight) else each
            for name, each in unpack(data).tensors.items()
        }
        again = copy.deepcopy(self.dense)
        again.load_state_dict(restored)
        n_dense = 4 * sum(parameter.numel() for parameter in module.parameters())
        accuracies = self._accuracies(again)
        return Packed(len(data), n_dense / len(data), 1 - overall_density(masks), *accuracies, layer_rows(data))

    def _retrain(self, module: nn.Module, hook: Hook, n_passes: float) -> None:
        self._train(module, n_passes, 0.05, hook)

    def _train(self, module: nn.Module, n_passes: float, rate: float = 0.05, *hooks: Hook) -> None:
        weight = DISTILLATION if self._teacher is not None else 0.0
        recipe = TrainingRecipe(n_epochs=n_passes, learning_rate=rate, weight_decay=5e-4, distillation_weight=weight)
        loss, teacher = functional.cross_entropy, self._teacher
        finetune(module, self._data.train, recipe, loss, seed=self._seed, teacher=teacher, hooks=hooks)

    def _accuracies(self, module: nn.Module) -> tuple[float, float]:
        """On validation and on the test."""
        return _accuracy(module, self._data.validation), _accuracy(module, self._data.test)


def layer_rows(data: bytes) -> list[dict[str, Any]]:
    """The paper's table: per layer the share of weights that stay, bits of an index and of a gap, each after entropy
    coding too, and the layer's bytes with its bias.
    """
    rows, biases = [], {}
    for each in account(data):
        layer, _, part = each.name.rpartition(".")
        if part == "bias":
            biases[layer] = each.n_bytes
            continue
        n_weights = torch.Size(each.shape).numel()
        n_gap_bytes = each.parts.get(GAPS, 0)
        rows.append(
            {
                "layer": layer,
                "n_weights": n_weights,
                "kept_share": each.n_kept / n_weights,
                "value_bits": each.value_bits,
                "coded_value_bits": 8 * (each.coded_bytes - n_gap_bytes) / max(1, each.n_kept),
                "gap_bits": each.gap_bits,
                "coded_gap_bits": 8 * n_gap_bytes / max(1, each.n_kept),
                "entropy_gain": 1 - each.coded_bytes / max(1, each.plain_bytes),
                "n_bytes": each.n_bytes,
                "ratio": 4 * n_weights / each.n_bytes,
            }
        )
    return [{**row, "bias_bytes": biases.get(row["layer"], 0)} for row in rows]


def _select(module: nn.Module, within: Masks | None) -> Masks:
    sizes = {name: layer.weight.numel() for name, layer in matrix_layers(module).items()}
    small = SMALL * sum(sizes.values())
    qualities = {name: QUALITY * (SMALL_SHARE if size < small else 1.0) for name, size in sizes.items()}
    return masks_by_threshold(module, qualities, within)


def _accuracy(module: nn.Module, split: Split) -> float:
    return 100 * float(classification_hits(predict(module, split), split.targets).mean())


def run(n_seeds: int = 3, names: Sequence[str] = tuple(NETWORKS), mnist: Path | None = None) -> dict[str, Any]:
    """Measures and prints; gives all of it as plain data.

    Args:
        n_seeds: How many.
        names: Networks.
        mnist: The folder that holds `MNIST/raw`; None for scikit-learn's digits.
    """
    started, found = time.process_time(), {}
    for name in names:
        results = []
        for seed in range(n_seeds):
            data = mnist_data(mnist, seed) if mnist else digits_data(seed)
            results.append(Bench(name, data, MNIST if mnist else DIGITS, seed).run())
            dense = results[-1]["dense"]
            print(f"{name}, seed {seed}: dense {dense[0]:.2f} %, test {dense[1]:.2f} %", flush=True)
        print_network(name, results)
        found[name] = results
    seconds = time.process_time() - started
    print(f"\n{seconds:.0f} s of CPU time")
    return {"data": "mnist" if mnist else "digits", "cpu_s": seconds, "networks": found}


def main() -> None:
    """Prints what was reached, and as the last line the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--network", choices=tuple(NETWORKS), nargs="+", default=tuple(NETWORKS), help="these only")
    parser.add_argument("--mnist", type=Path, metavar="FOLDER", help="the folder that holds MNIST/raw")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(run(arguments.seeds, arguments.network, arguments.mnist)))


if __name__ == "__main__":
    main()
