"""One torchvision model from a module to a finished random configuration: seconds, and the most memory it takes.

    python -m benchmarks.discovery NAME

Prints one JSON object. `techniques.py` runs it in a process of its own for each model, so that memory is measured
cleanly. On one core, with one thread.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

import torch
import torchvision

from benchmarks.zoo_model import N_IMAGES, draw_configuration, draw_images
from parefront.hardware_profiles import load_profile
from parefront.hardware_profiles.measuring.cores import available_cores, pin
from parefront.spaces import Network, find_space, finish, prepare, reestimate_batch_norm, trace

HARDWARE = "cpu-ort-1t"
SIZE = 224


def discover(name: str) -> dict[str, float]:
    """One model from a module to a finished random configuration: seconds and memory."""
    model, images = torchvision.models.get_model(name, weights=None).eval(), draw_images(SIZE)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    before, started = _peak_bytes(), time.perf_counter()
    network = trace(model, images[:2])
    space = find_space(network, load_profile(HARDWARE).capabilities)
    found = time.perf_counter()
    configuration = draw_configuration(space, "mixed", random.Random(name))
    module = prepare(network, configuration)
    reestimate_batch_norm(module, images, n_batches=1)
    finish(module, configuration, images)
    ended = time.perf_counter()
    return {
        "discover_s": found - started,
        "one_configuration_s": ended - found,
        "total_s": ended - started,
        "peak_memory": (_peak_bytes() - before) / (weights + _activation_bytes(network)),
    }


def _peak_bytes() -> int:
    """Most memory that this program held. (`ru_maxrss` would begin at what the process that started it held.)"""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


def _activation_bytes(network: Network) -> int:
    """Bytes of everything that one forward of all the images computes."""
    metas = [node.meta.get("tensor_meta") for node in network.module.graph.nodes]
    n_values = sum(meta.shape.numel() for meta in metas if hasattr(meta, "shape"))
    return 4 * int(n_values) * N_IMAGES // len(network.example_inputs[0])


if __name__ == "__main__":
    pin(available_cores()[-1:])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(json.dumps(discover(sys.argv[1])))
