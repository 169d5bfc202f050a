"""The `.pare` file: how fast it is read, how small its codes are, and whether any damage is ever loaded.

    python -m benchmarks.storage_pare [--mutations 10000] [--quick]

Speed is megabytes of restored float32 weights per second of CPU time of one core, from the bytes of a file with all
checksums to the decoded weights; the best of some repetitions. The aim is 100 MB/s. Every restored set is compared with
the original, bit for bit.

Beside it stand the codes that were tried for dense and for sparse layers: each one's bits per weight and its speed.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from benchmarks.pare_damage import DAMAGES, FORGERIES, have_same_bits, outcome, sample_file
from parefront.packing import CodedWeight, StoredWeight, pack, unpack
from parefront.packing.bit_packing import pack_bits
from parefront.packing.entropy import ans, huffman
from parefront.packing.gaps import from_gaps, to_gaps
from parefront.packing.number_streams import ANS, HUFFMAN, NumberStream, decode_numbers, encode_numbers, plain_bits

RESULTS = Path(__file__).parent / "results" / "storage_pare.json"
AIM_MB_PER_S = 100.0
SIDE = 2048
N_REPETITIONS = 7
RESNET18 = (
    *((64, 3, 7), *[(64, 64, 3)] * 4, (128, 64, 3), (128, 64, 1), *[(128, 128, 3)] * 3),
    *((256, 128, 3), (256, 128, 1), *[(256, 256, 3)] * 3, (512, 256, 3), (512, 256, 1), *[(512, 512, 3)] * 3),
    (1000, 512, 1),
)
"""Output channels, input channels and kernel of its layers (He et al. 2015, table 1)."""
Packable = Tensor | StoredWeight
T = TypeVar("T")


def clustered(weight: Tensor, bits: int, sparsity: float = 0.0) -> CodedWeight:
    """A weight in `2 ** bits` evenly spaced values, the smallest magnitudes removed."""
    scaled = weight / weight.std()
    codebook = torch.linspace(-3, 3, 1 << bits)
    indices = torch.bucketize(scaled, (codebook[1:] + codebook[:-1]) / 2)
    if not sparsity:
        return CodedWeight(indices.byte(), codebook)
    threshold = scaled.abs().flatten().kthvalue(int(sparsity * scaled.numel())).values
    kept = torch.where(scaled.abs() > threshold, indices + 1, 0)
    return CodedWeight(kept.byte(), torch.cat([torch.zeros(1), codebook]))


def in_int8(weight: Tensor) -> CodedWeight:
    """A weight in integers of -127 to 127, the largest of each output channel at the end of the range."""
    scale = weight.flatten(1).abs().amax(1) / 127
    codes = (weight / scale.reshape(-1, *[1] * (weight.dim() - 1))).round()
    return CodedWeight((codes + 127).byte(), torch.arange(-127.0, 128.0), scale)


def workloads(side: int = SIDE) -> dict[str, Mapping[str, Packable]]:
    """Sets of weights by what they are, normally distributed."""
    generator = torch.Generator().manual_seed(0)
    square = torch.randn(side, side, generator=generator) * 0.05
    sizes = RESNET18 if side == SIDE else RESNET18[:8]
    network = [torch.randn(out, inputs, k, k, generator=generator) for out, inputs, k in sizes]
    return {
        "dense, 4 bits": {"w": clustered(square, 4)},
        "90 % sparse, 5 bits": {"w": clustered(square, 5, 0.9)},
        "int8": {"w": in_int8(square)},
        "resnet18, 90 % sparse, 5 bits": {f"{i}": clustered(each, 5, 0.9) for i, each in enumerate(network)},
        "resnet18, 4 bits": {f"{i}": clustered(each, 4) for i, each in enumerate(network)},
        "resnet18, int8": {f"{i}": in_int8(each) for i, each in enumerate(network)},
        "float32": {"w": square},
        "90 % sparse, float32": {"w": square.where(square.abs() > 1.645 * 0.05, 0.0)},
    }


def decode_speed(tensors: Mapping[str, Packable], n_repetitions: int) -> dict[str, float]:
    """Bytes of a file, bits per weight, and how fast it is written and read."""
    started = time.process_time()
    data = pack(tensors, {})
    pack_s = time.process_time() - started
    restored, decode_s = _best(lambda: _restored(data), n_repetitions)
    for name, weight in restored.items():
        original = tensors[name]
        assert have_same_bits(weight, original if isinstance(original, Tensor) else original.decode()), name
    n_weights = sum(each.numel() for each in restored.values())
    return {
        "n_weights": n_weights,
        "file_bytes": len(data),
        "bits_per_weight": 8 * len(data) / n_weights,
        "pack_mb_per_s": 4 * n_weights / 1e6 / pack_s,
        "decode_mb_per_s": 4 * n_weights / 1e6 / decode_s,
    }


def compare_codes(side: int, n_repetitions: int) -> dict[str, dict[str, dict[str, float]]]:
    """The codes that were tried, each alone, without checksums and codebook: bits per weight and speed of decoding."""
    square = torch.randn(side, side, generator=torch.Generator().manual_seed(0))
    dense = clustered(square, 4).indices.flatten().numpy()
    sparse = clustered(square, 5, 0.9).indices.flatten().numpy()
    found: dict[str, dict[str, dict[str, float]]] = {"dense, 4 bits": {}, "90 % sparse, 5 bits": {}}
    for workload, numbers in zip(found, (dense, sparse), strict=True):
        for name, stream in _streams(numbers).items():
            _, seconds = _best(partial(decode_numbers, stream, len(numbers)), n_repetitions)
            found[workload][f"all entries, {name}"] = _figures(len(numbers), len(stream.data), seconds)
    positions = np.flatnonzero(sparse)
    for bits in (3, 5, 8):
        gaps = to_gaps(positions, bits)
        streams = encode_numbers(gaps), encode_numbers(sparse[positions] - 1)

        def decode(
            bits: int = bits, n_gaps: int = len(gaps), streams: tuple[NumberStream, NumberStream] = streams
        ) -> None:
            whole = np.zeros(len(sparse), np.uint8)
            whole[from_gaps(decode_numbers(streams[0], n_gaps), bits)] = decode_numbers(streams[1], len(positions)) + 1

        _, seconds = _best(decode, n_repetitions)
        n_bytes = sum(len(each.data) for each in streams)
        found["90 % sparse, 5 bits"][f"gaps of {bits} bits"] = _figures(len(sparse), n_bytes, seconds)
    return found


def fuzz(n_mutations: int, seed: int = 0) -> dict[str, Any]:
    """What becomes of damaged files, and of forged ones whose checksums were computed anew.

    Returns:
        `n_mutations`; `n_crashes`, errors other than a refusal; `n_wrong_loads`, damaged files that load and differ;
        `outcomes` by kind of change; `slowest_s`, CPU seconds of the slowest load.
    """
    chance, originals = random.Random(seed), (sample_file(), sample_file(3000))
    outcomes: dict[str, dict[str, int]] = {}
    slowest_s, n_done = 0.0, 0
    while n_done < n_mutations:
        original = chance.choice(originals)
        change = chance.choice((*DAMAGES, *FORGERIES))
        changed = change(original, chance)
        if changed == original:
            continue
        started = time.process_time()
        result = outcome(changed, original)
        slowest_s = max(slowest_s, time.process_time() - started)
        counts = outcomes.setdefault(change.__name__, {})
        counts[result] = counts.get(result, 0) + 1
        n_done += 1
    return {
        "n_mutations": n_done,
        "n_crashes": sum(n for each in outcomes.values() for name, n in each.items() if name.startswith("crash")),
        "n_wrong_loads": sum(outcomes.get(change.__name__, {}).get("other", 0) for change in DAMAGES),
        "slowest_s": slowest_s,
        "outcomes": outcomes,
    }


def run(n_mutations: int = 10_000, side: int = SIDE, n_repetitions: int = N_REPETITIONS) -> dict[str, Any]:
    """Everything that is measured.

    Returns:
        `speed` by workload, `codes` that were tried by workload, and `fuzz`.
    """
    return {
        "speed": {name: decode_speed(each, n_repetitions) for name, each in workloads(side).items()},
        "codes": compare_codes(side, n_repetitions),
        "fuzz": fuzz(n_mutations),
    }


def _restored(data: bytes) -> dict[str, Tensor]:
    found = unpack(data).tensors
    return {name: each if isinstance(each, Tensor) else each.decode() for name, each in found.items()}


def _best(function: Callable[[], T], n_repetitions: int) -> tuple[T, float]:
    """What a function gives, and the least CPU seconds that it took."""
    least = float("inf")
    for _ in range(n_repetitions):
        started = time.process_time()
        result = function()
        least = min(least, time.process_time() - started)
    return result, least


def _streams(numbers: np.ndarray[Any, np.dtype[np.uint8]]) -> dict[str, NumberStream]:
    bits = plain_bits(int(numbers.max()))
    narrowest = max(method for method, width in HUFFMAN.items() if width >= bits)
    found = {"bits side by side": NumberStream(bits, pack_bits(numbers, bits))}
    for method in sorted({9, narrowest}):
        stream = NumberStream(method, huffman(pack_bits(numbers, HUFFMAN[method])))
        found[f"Huffman, {8 // HUFFMAN[method]} in a byte"] = stream
    return {**found, "ANS": NumberStream(ANS, ans(numbers, np.bincount(numbers)))}


def _figures(n_weights: int, n_bytes: int, seconds: float) -> dict[str, float]:
    return {"bits_per_weight": 8 * n_bytes / n_weights, "decode_mb_per_s": 4 * n_weights / 1e6 / seconds}


def main() -> None:
    """Prints what was measured, keeps it, and prints the JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=10_000, help="damaged files that are loaded")
    parser.add_argument("--quick", action="store_true", help="small layers and 500 mutations; nothing is kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = run(500, 256, 2) if options.quick else run(options.mutations)
    for name, each in results["speed"].items():
        print(f"{name:32} {each['bits_per_weight']:6.3f} bits a weight, read at {each['decode_mb_per_s']:5.0f} MB/s")
    for workload, codes in results["codes"].items():
        print(f"codes of {workload}:")
        for name, each in codes.items():
            print(f"  {name:40} {each['bits_per_weight']:6.3f} bits a weight, {each['decode_mb_per_s']:5.0f} MB/s")
    fuzzed = results["fuzz"]
    print(
        f"{fuzzed['n_mutations']} changed files: {fuzzed['n_crashes']} crashes, {fuzzed['n_wrong_loads']} damaged ones "
        f"loaded, the slowest took {fuzzed['slowest_s']:.3f} s"
    )
    if not options.quick:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    slow = [name for name, each in results["speed"].items() if each["decode_mb_per_s"] < AIM_MB_PER_S]
    print(f"below {AIM_MB_PER_S:.0f} MB/s: {', '.join(slow) or 'none'}")
    print(json.dumps({"storage_pare": results}))


if __name__ == "__main__":
    main()
