"""Hardware profiles: what a network will run on, what that can execute, and how it is measured."""

from __future__ import annotations

import hashlib
import json
import os
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from .errors import ProfileError, unknown_name
from .runtimes import runtime_names

# What a runtime of schema 1 executes: fp32, and int8 (unsigned activations, signed weights).
EXECUTABLE_BITS = (32, 8)
# What its weight-only linear layers may store their weights in.
WEIGHT_ONLY_BITS = (8, 4)

# Strict, because pydantic would otherwise read `threads: true` as 1.
Count = Annotated[int, Field(strict=True, ge=1)]
Milliseconds = Annotated[float, Field(gt=0.0)]
Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]


class _Frozen(BaseModel):
    """A value read from a file: immutable, and a misspelt field is an error rather than ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RuntimeSettings(_Frozen):
    """The program that executes the network.

    Attributes:
        name: A registered runtime, see `runtime_names`.
        threads: Threads that one inference may use; the meter leases as many cores.
    """

    name: str
    threads: Count

    @field_validator("name")
    @classmethod
    def _is_registered(cls, name: str) -> str:
        if name not in runtime_names():
            raise ValueError(unknown_name("runtime", name, runtime_names()))
        return name


class Workload(_Frozen):
    """What one inference consists of.

    Attributes:
        batch_size: Samples per inference.
    """

    batch_size: Count = 1


class Capabilities(_Frozen):
    """What the hardware rewards or executes at all.

    Attributes:
        weight_bits: Bit-widths that really execute, the neutral 32 first.
        weight_only_bits: Bit-widths in which linear layers may hold their weights alone, computing in float.
        channel_grid: Channel counts are multiples of this (the vector width); others can be slower than the unpruned.
    """

    weight_bits: tuple[Annotated[int, Field(strict=True)], ...] = EXECUTABLE_BITS
    weight_only_bits: tuple[Annotated[int, Field(strict=True)], ...] = ()
    channel_grid: Count = 8

    @field_validator("weight_bits")
    @classmethod
    def _starts_neutral(cls, bits: tuple[int, ...]) -> tuple[int, ...]:
        if bits[:1] != (32,) or len(set(bits)) != len(bits) or not set(bits) <= set(EXECUTABLE_BITS):
            raise ValueError(f"weight_bits must start with 32 and hold each of {EXECUTABLE_BITS} at most once")
        return bits

    @field_validator("weight_only_bits")
    @classmethod
    def _is_stored(cls, bits: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(bits)) != len(bits) or not set(bits) <= set(WEIGHT_ONLY_BITS):
            raise ValueError(f"weight_only_bits must hold each of {WEIGHT_ONLY_BITS} at most once")
        return bits


class MeterProtocol(_Frozen):
    """How latency is measured: bursts of candidate and reference, alternating until the ratio is known well enough.

    Attributes:
        burst_ms: Least wall time of one burst, in ms.
        warmup_ms: Unmeasured running of each network before the first burst, in ms.
        min_pairs: Least number of burst pairs; below 6 there is no 95 % order-statistic interval.
        max_pairs: Largest number of burst pairs.
        half_width: Stop when the interval's half-width is at most this fraction of the ratio.
        max_foreign_cpu: Largest fraction of the leased cores' time that others may use during the bursts.
        max_requeues: How often a disturbed measurement is repeated before it is accepted as low quality.
    """

    burst_ms: Milliseconds = 40.0
    warmup_ms: Milliseconds = 50.0
    min_pairs: Annotated[int, Field(strict=True, ge=6)] = 8
    max_pairs: Count = 60
    half_width: Fraction = 0.005
    max_foreign_cpu: Fraction = 0.05
    max_requeues: Annotated[int, Field(strict=True, ge=0)] = 2

    @model_validator(mode="after")
    def _pairs_are_ordered(self) -> Self:
        if self.max_pairs < self.min_pairs:
            raise ValueError(f"max_pairs must be at least min_pairs ({self.min_pairs}), got {self.max_pairs}")
        return self


class HardwareProfile(_Frozen):
    """A hardware target: what runs, how much of it, what it can execute, how it is measured.

    Attributes:
        schema_version: The version of the file format.
        name: What users call it.
        description: One line for listings.
    """

    schema_version: Literal[1]
    name: Annotated[str, Field(min_length=1)]
    description: str = ""
    runtime: RuntimeSettings
    workload: Workload = Workload()
    capabilities: Capabilities = Capabilities()
    protocol: MeterProtocol = MeterProtocol()

    def content_key(self) -> str:
        """Gives the SHA-256 of everything that shapes a result: a key for caches.

        `name` and `description` are left out: renaming a profile does not change what it measures.
        """
        content = self.model_dump(mode="json", exclude={"name", "description"})
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def profile_names() -> tuple[str, ...]:
    """Lists the names of the shipped profiles, sorted."""
    files = resources.files(__package__).iterdir()
    return tuple(sorted(Path(file.name).stem for file in files if file.name.endswith(".yaml")))


def load_profile(name_or_path: str) -> HardwareProfile:
    """Loads a shipped profile by name, or any profile from a YAML file.

    Args:
        name_or_path: A name from `profile_names`, or a path (anything with a directory or ending in .yaml or .yml).

    Raises:
        ProfileError: The name is unknown, or the file is missing, no YAML or breaks a rule of the schema.
    """
    if name_or_path in profile_names():
        text = resources.files(__package__).joinpath(f"{name_or_path}.yaml").read_text(encoding="utf-8")
        return _parse(text, name_or_path)
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"} and len(path.parts) < 2:
        raise ProfileError(f"{unknown_name('profile', name_or_path, profile_names())}, or give a path ending in .yaml")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ProfileError(
            f"a profile must be a readable YAML file, got {name_or_path!r} ({reason}): check the path"
        ) from error
    return _parse(text, name_or_path)


def check_host(profile: HardwareProfile) -> None:
    """Checks that this machine has what the profile asks for.

    Raises:
        ProfileError: The profile wants more threads than this process may use cores.
    """
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    if profile.runtime.threads > n_cores:
        raise ProfileError(
            f"profile {profile.name!r} must not use more threads than the {n_cores} core(s) available here, "
            f"got {profile.runtime.threads}: choose a profile with fewer threads or a larger machine"
        )


def _parse(text: str, source: str) -> HardwareProfile:
    try:
        content: Any = yaml.safe_load(text)  # Any: a YAML file may hold anything until it is validated.
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        problem = getattr(error, "problem", None) or "cannot be parsed"
        raise ProfileError(
            f"profile {source!r} must be valid YAML, got an error{line} ({problem}): correct it"
        ) from error
    if not isinstance(content, dict):
        raise ProfileError(
            f"profile {source!r} must hold `field: value` lines, got {type(content).__name__}: "
            f"start from `parefront hardware show {profile_names()[0]}`"
        )
    try:
        return HardwareProfile.model_validate(content)
    except ValidationError as error:
        raise ProfileError(_one_line(error, source)) from error


def _one_line(error: ValidationError, source: str) -> str:
    """Words the first violated rule; the others show up once it is mended."""
    first, n_more = error.errors()[0], error.error_count() - 1
    field = ".".join(str(part) for part in first["loc"]) or "profile"
    rule = first["msg"].removeprefix("Value error, ")
    got = "" if first["type"] == "missing" else f", got {first['input']!r}"
    more = f" ({n_more} more after it)" if n_more else ""
    return f"profile {source!r}, field {field!r}: {rule}{got}: correct it in the file{more}"
