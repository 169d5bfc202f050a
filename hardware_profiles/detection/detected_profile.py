"""A detection as a profile file: every value that was measured carries a comment with its figures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Literal

import yaml

from ..errors import ProfileError
from ..fingerprint import fingerprint
from ..profile import Capabilities, HardwareProfile, MeterProtocol, RuntimeSettings, Target
from ..profile_files import load_profile
from ..runtimes import runtime_facts
from .detect import Detection
from .precision_gains import PrecisionFinding, word_bits, word_precisions

_ARCHITECTURES: tuple[Literal["x86_64", "aarch64"], ...] = ("x86_64", "aarch64")
# Threads wait for each other at every operator, which doubles the scatter (as in the shipped cpu-ort-2t).
_HALF_WIDTH_OF_SEVERAL_THREADS = 0.01


def profile_of(detection: Detection, name: str) -> HardwareProfile:
    """The profile that a detection amounts to, with this machine's fingerprint.

    Args:
        detection: What was found.
        name: What to call it.
    """
    facts = runtime_facts(detection.chosen.name)
    architecture = detection.machine.architecture
    protocol = MeterProtocol() if detection.threads == 1 else MeterProtocol(half_width=_HALF_WIDTH_OF_SEVERAL_THREADS)
    profile = HardwareProfile(
        schema_version=1,
        name=name,
        description=f"{detection.machine.cpu_model}, {facts.name}, {detection.threads} thread(s); written by detect.",
        is_measured=True,
        target=Target(
            device=facts.device,
            architecture=next((each for each in _ARCHITECTURES if each == architecture), None),
        ),
        runtime=RuntimeSettings(name=facts.name, threads=detection.threads),
        capabilities=Capabilities(
            weight_bits=detection.chosen.offered,
            weight_only_bits=facts.weight_only_bits,
            channel_grid=detection.channel_grid,
        ),
        protocol=protocol,
    )
    return profile.model_copy(update={"fingerprint": fingerprint(profile).key})


def write_profile(detection: Detection, path: Path, today: date) -> HardwareProfile:
    """Writes the profile, named after its file, and reads it back.

    Args:
        detection: What was found.
        path: A file that does not exist yet, ending in .yaml or .yml.
        today: For the comment at the top.

    Raises:
        ProfileError: See `check_target`.
    """
    check_target(path)
    profile = profile_of(detection, path.stem)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(profile_text(detection, profile, today), encoding="utf-8")
    return load_profile(str(path.resolve()))


def check_target(path: Path) -> None:
    """Checks that a profile can be written to a path.

    Raises:
        ProfileError: It does not end in .yaml or .yml, or is there already.
    """
    if path.suffix not in {".yaml", ".yml"}:
        raise ProfileError(f"--out must end in .yaml, got {str(path)!r}: write for instance my-machine.yaml")
    if path.exists():
        raise ProfileError(f"--out must not exist yet, got {str(path)!r}: remove it or choose another name")


def profile_text(detection: Detection, profile: HardwareProfile, today: date) -> str:
    """The file's text: comments say what was measured and what was not."""
    content = profile.model_dump(mode="json", exclude={"host", "limits"})
    lines = [*(f"# {line}" for line in _facts(detection, today))]
    comments = {"capabilities": [*_about_precisions(detection), *_about_grid(detection)]}
    if profile.capabilities.weight_only_bits:
        comments["capabilities"].append(
            "weight_only_bits is what the runtime reads; whether it gains was not measured."
        )
    comments["fingerprint"] = ["This machine and its versions; remove the line to use the profile on a similar one."]
    for field, value in content.items():
        lines += [f"# {line}" for line in comments.get(field, ())]
        lines += yaml.safe_dump({field: value}, sort_keys=False, width=10_000, allow_unicode=True).splitlines()
    return "\n".join(lines) + "\n"


def _facts(detection: Detection, today: date) -> Iterator[str]:
    machine = detection.machine
    yield f"Written by `parefront hardware detect` on {today.isoformat()}."
    yield f"{machine.cpu_model}; {len(machine.cores)} core(s) available; {machine.architecture}."
    yield f"Instruction sets: {', '.join(machine.isa_flags) or 'unknown'}."
    caches = ", ".join(f"L{c.level} {c.kind} {c.size_bytes // 1024} KiB" for c in machine.caches)
    yield f"Caches: {caches or 'the system does not say'}."
    memory = machine.memory_bytes
    yield "Memory: " + ("the system does not say." if memory is None else f"{memory / 2**30:.1f} GiB.")
    for each in detection.tried:
        yield (
            f"{each.name}: {each.best_ms:.3f} ms on average over {len(each.float_ms)} small networks "
            f"in {word_bits(each.fastest)}; pays in {word_precisions(each.offered)}."
        )


def _about_precisions(detection: Detection) -> Iterator[str]:
    yield "Time as a multiple of that in fp32, geometric mean over small networks, with the 95 % interval:"
    for each in detection.chosen.precisions:
        yield f"  {word_bits(each.bits)}: {_outcome(each)}"


def _outcome(found: PrecisionFinding) -> str:
    if found.mean is None:
        return f"not offered: {' '.join(found.reason.split())}"
    figures = f"{found.mean.value:.3f} ({found.mean.low:.3f} .. {found.mean.high:.3f})"
    return f"{figures}, offered" if found.is_offered else f"{figures}, not offered: {found.reason}"


def _about_grid(detection: Detection) -> Iterator[str]:
    for bits, found in detection.grids.items():
        yield (
            f"Widths {min(detection.widths_ms[bits])} to {max(detection.widths_ms[bits])} in {word_bits(bits)}: "
            f"grid {found.grid}; off it up to {found.worst_off_grid:.0%} more than in proportion."
        )


def detection_json(detection: Detection, profile: HardwareProfile) -> str:
    """Everything that was found, and the profile, as JSON text."""
    from dataclasses import asdict

    content = asdict(detection)
    for kept in ("grids", "widths_ms"):
        content[kept] = {word_bits(bits): value for bits, value in content[kept].items()}
    content["chosen"] = detection.chosen.name
    content["profile"] = profile.model_dump(mode="json")
    return json.dumps(content, indent=2)
