"""What the card of an exported model says, as plain data."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import Any

from ..hardware_profiles.runtimes.pt2_archive import holds_sparse_layers
from ..search.trial import Trial
from ..spaces.site import Site
from .card_file import SCHEMA, FileFacts
from .decisions import describe, word_choice
from .export_formats import ExportFormat
from .export_source import Source
from .load import Run
from .probe import Agreement

NOT_STATED = "not stated"
_PACKAGES = ("torch", "numpy", "onnx", "onnxruntime", "openvino")
_PROFILE_FACTS = ("name", "description", "runtime")


def card_facts(
    source: Source, kind: ExportFormat, runtime: str, name: str, agreement: Agreement, files: Mapping[str, FileFacts]
) -> dict[str, Any]:
    """Everything about one exported model that its user should know.

    Args:
        source: The member.
        kind: The format.
        runtime: What it was checked with.
        name: Of the file or folder.
        agreement: How the check came out.
        files: All that belongs to the model.
    """
    run, member, manifest = source.run, source.member, source.run.manifest
    probe, is_sparse = source.probe.inputs, _is_sparse(source, kind)
    shape, dtype = (1, *probe.shape[1:]), str(probe.dtype)
    return {
        "schema": SCHEMA,
        "name": name,
        "format": kind.name,
        "runtime": runtime,
        "task": manifest["task"],
        "license": manifest.get("license") or NOT_STATED,
        "member": {
            "run": run.directory.resolve().name,
            "trial": member.number,
            "training": member.fidelity.value,
            "origin": member.origin,
            "is_verified": member.is_verified,
        },
        "configuration": dict(member.configuration),
        "summary": describe(member.configuration),
        "layers": layer_words(run, member),
        "options": manifest.get("options", {}),
        "seed": manifest.get("seed"),
        "scores": _scores(member),
        "baseline": _scores(run.baseline),
        "is_measured_file": _is_measured_file(source, kind),
        "hardware": _hardware(manifest),
        "parity": {
            "error": agreement.error,
            "tolerance": agreement.tolerance,
            "n_probes": agreement.n_probes,
            "n_clear_classes": agreement.n_clear,
            "n_same_classes": agreement.n_same,
            "expected_from": source.expected_from,
        },
        "files": {name: facts.model_dump() for name, facts in sorted(files.items())},
        "versions": _versions(manifest),
        "loading": kind.loading_code(name, shape, dtype, str(manifest["task"]), is_sparse=is_sparse),
    }


def _is_sparse(source: Source, kind: ExportFormat) -> bool:
    return kind.suffix == source.artefact.suffix == ".pt2" and holds_sparse_layers(source.artefact)


def layer_words(run: Run, member: Trial) -> dict[str, list[str]]:
    """What was done to each layer that is not as it was, in the order of the network: `48→24`, `int8`, `folded`."""
    chosen: list[tuple[Site, Any]] = [
        (site, member.configuration[site.name]) for site in run.sites if site.name in member.configuration
    ]
    names = [str(layer["name"]) for layer in run.manifest.get("layers", ())]
    words = {
        name: [word_choice(site, choice) for site, choice in chosen if name in site.touched(choice)] for name in names
    }
    return {name: done for name, done in words.items() if done}


def _scores(trial: Trial) -> dict[str, Any]:
    return {name: score.to_json() for name, score in trial.scores.items()}


def _is_measured_file(source: Source, kind: ExportFormat) -> bool:
    """Whether the scores are those of this very file; of another format they are those of the network."""
    return source.artefact.suffix == kind.suffix


def _hardware(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The main profile and its machine; nothing of how that machine is reached."""
    profile = manifest["profile"]
    return {
        "profile": {name: profile[name] for name in _PROFILE_FACTS if name in profile},
        "others": list(manifest.get("other_hardware", "").split(", ")) if manifest.get("profiles", ())[1:] else [],
        "machine": manifest.get("fingerprint", {}),
        "machine_key": manifest.get("fingerprint_key", ""),
    }


def _versions(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Of what searched, and of the libraries that wrote and checked the file."""
    found = {"parefront": str(manifest.get("version", ""))}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
