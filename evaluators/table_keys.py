"""What stored tables depend on: where any of it differs, another file is used."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from ..hardware_profiles.fingerprint import Fingerprint
from ..hardware_profiles.profile import HardwareProfile
from ..spaces import CompressionOptions, Network, SearchSpace
from ..tasks import cache_directory, digest

SCHEMA = 1


def operators_path(space: SearchSpace, profile: HardwareProfile, machine: Fingerprint) -> Path:
    """Where operator times of a network's shapes on a profile and a machine lie, whatever its weights and its data."""
    layers = [[asdict(each.layer), each.inputs, each.output] for each in space.widths.values()]
    return _path("operators", {"layers": layers, "profile": profile.content_key(), "machine": machine.key})


def sensitivity_path(network: Network, inputs: Tensor, options: CompressionOptions) -> Path:
    """Where divergences of a trained network on some inputs lie, whatever it runs on."""
    # The code of the network counts as its graph does: the same weights may be used otherwise.
    facts = {"graph": str(network.module.graph), "weights": digest(network.module.state_dict())}
    return _path("sensitivity", {**facts, "inputs": digest({"inputs": inputs}), "options": options.to_json()})


def _path(kind: str, facts: Mapping[str, Any]) -> Path:
    # The version stands for how networks are compressed and exported.
    known = {"schema": SCHEMA, "version": importlib.metadata.version("parefront"), **facts}
    key = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
    return cache_directory() / "tables" / f"{kind}-{key[:16]}.jsonl"
