"""The schema of a hardware profile: what a network will run on, what that can execute, and how it is measured.

Every field is described where it stands: editors show these texts through the JSON schema.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, field_validator, model_validator

from .errors import unknown_name
from .runtimes import BITS, WEIGHT_ONLY_BITS, runtime_facts, runtime_names

# Strict, because pydantic would otherwise read `threads: true` as 1.
_Bits: TypeAlias = StrictInt | StrictStr
_Count = Annotated[int, Field(strict=True, ge=1)]
_Milliseconds = Annotated[float, Field(gt=0.0)]
_Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]


class _Frozen(BaseModel):
    """A value read from a file: immutable, and a misspelt field is an error rather than ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Target(_Frozen):
    """The device that executes the network."""

    device: Literal["cpu", "cuda"] = Field(default="cpu", description="What executes: the processor, or an NVIDIA GPU.")
    architecture: Literal["x86_64", "aarch64"] | None = Field(
        default=None, description="The processor's architecture; any where it is left out."
    )
    requires: tuple[str, ...] = Field(
        default=(), description="Instruction sets that the processor must have, for instance avx512_bf16."
    )


class Host(_Frozen):
    """Where the measuring happens: on this machine unless a command or an address is given."""

    command: tuple[str, ...] = Field(
        default=(),
        description="A command that runs parefront-meter on the device, for instance [ssh, board, parefront-meter].",
    )
    address: str | None = Field(
        default=None,
        pattern=r"^(\[[^\]]+\]|[^:\s]+):\d{1,5}$",
        description="host:port where `parefront-meter --listen` waits on the device.",
    )

    @model_validator(mode="after")
    def _is_one_place(self) -> Self:
        if self.command and self.address:
            raise ValueError("only one of command and address may be given")
        return self

    @property
    def is_local(self) -> bool:
        """Whether the measuring happens on this machine."""
        return not self.command and self.address is None


class RuntimeSettings(_Frozen):
    """The program that executes the network."""

    name: str = Field(description="A registered runtime.")
    threads: _Count = Field(description="Threads that one inference may use; the meter leases as many cores.")

    @field_validator("name")
    @classmethod
    def _is_registered(cls, name: str) -> str:
        if name not in runtime_names():
            raise ValueError(unknown_name("runtime", name, runtime_names()))
        return name


class Workload(_Frozen):
    """What one inference consists of."""

    scenario: Literal["single-stream", "throughput"] = Field(
        default="single-stream",
        description="Samples one after the other (the time of each counts), or in batches (samples per second count).",
    )
    batch_size: _Count = Field(default=1, description="Samples per inference.")

    @model_validator(mode="after")
    def _stream_is_single(self) -> Self:
        if self.scenario == "single-stream" and self.batch_size != 1:
            raise ValueError(
                f"batch_size must be 1 in the single-stream scenario, got {self.batch_size}: set scenario: throughput"
            )
        return self


class Capabilities(_Frozen):
    """What the hardware executes at all, and what it rewards."""

    weight_bits: tuple[_Bits, ...] = Field(
        default=(32, 8), description="Widths that really execute, the neutral 32 first: 32, bf16, fp16, 8."
    )
    weight_only_bits: tuple[StrictInt, ...] = Field(
        default=(), description="Widths in which linear layers may hold their weights alone, computing in float: 8, 4."
    )
    sparse_density: float = Field(
        default=0.0,
        ge=0.0,
        le=0.5,
        description="Largest share of non-zero weights at which linear layers gain by executing these alone; 0: none.",
    )
    channel_grid: _Count = Field(
        default=8,
        description="Channel counts are multiples of this (the vector width); others can be slower than unpruned.",
    )

    @field_validator("weight_bits")
    @classmethod
    def _starts_neutral(cls, bits: tuple[_Bits, ...]) -> tuple[_Bits, ...]:
        if bits[:1] != (32,) or len(set(bits)) != len(bits) or not set(bits) <= set(BITS):
            raise ValueError(f"weight_bits must start with 32 and hold each of {BITS} at most once")
        return tuple(sorted(bits, key=BITS.index))

    @field_validator("weight_only_bits")
    @classmethod
    def _is_stored(cls, bits: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(bits)) != len(bits) or not set(bits) <= set(WEIGHT_ONLY_BITS):
            raise ValueError(f"weight_only_bits must hold each of {WEIGHT_ONLY_BITS} at most once")
        return bits


class Limits(_Frozen):
    """What the device has room for; a candidate beyond a limit is closed before any training is spent on it."""

    max_size_bytes: _Count | None = Field(
        default=None, description="The largest file that the device can hold, in bytes."
    )
    max_memory_bytes: _Count | None = Field(
        default=None, description="The most memory that inference may take, in bytes."
    )
    max_latency_ms: _Milliseconds | None = Field(default=None, description="The longest time of one inference, in ms.")


class MeterProtocol(_Frozen):
    """How latency is measured: bursts of candidate and reference, alternating until the ratio is known well enough."""

    burst_ms: _Milliseconds = Field(default=40.0, description="Least wall time of one burst, in ms.")
    warmup_ms: _Milliseconds = Field(
        default=50.0, description="Unmeasured running of each network before the first burst, in ms."
    )
    min_pairs: Annotated[int, Field(strict=True, ge=6)] = Field(
        default=8, description="Least number of burst pairs; below 6 there is no 95 % order-statistic interval."
    )
    max_pairs: _Count = Field(default=60, description="Largest number of burst pairs.")
    pairs_per_load: Annotated[int, Field(strict=True, ge=2)] = Field(
        default=4,
        description="Both networks are loaded again after so many pairs: their places in memory change their times.",
    )
    half_width: _Fraction = Field(
        default=0.005, description="Stop when the interval's half-width is at most this fraction of the ratio."
    )
    max_foreign_cpu: _Fraction = Field(
        default=0.05, description="Largest fraction of the leased cores' time that others may use during the bursts."
    )
    max_requeues: Annotated[int, Field(strict=True, ge=0)] = Field(
        default=2, description="How often a disturbed measurement is repeated before it is accepted as low quality."
    )

    @model_validator(mode="after")
    def _pairs_are_ordered(self) -> Self:
        if self.max_pairs < self.min_pairs:
            raise ValueError(f"max_pairs must be at least min_pairs ({self.min_pairs}), got {self.max_pairs}")
        return self


class HardwareProfile(_Frozen):
    """A hardware target: what runs where, how much of it, what it can execute, how it is measured."""

    schema_version: Literal[1] = Field(description="The version of the file format.")
    name: Annotated[str, Field(min_length=1)] = Field(description="What users call it.")
    description: str = Field(default="", description="One line for listings.")
    is_measured: bool = Field(
        default=True, strict=True, description="False for a template that nobody has measured on yet."
    )
    target: Target = Target()
    host: Host = Host()
    runtime: RuntimeSettings
    workload: Workload = Workload()
    capabilities: Capabilities = Capabilities()
    limits: Limits = Limits()
    protocol: MeterProtocol = MeterProtocol()
    fingerprint: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{16}$",
        description="Key of the machine that this profile was written for; another one is refused.",
    )

    @model_validator(mode="after")
    def _runtime_can(self) -> Self:
        facts = runtime_facts(self.runtime.name)
        if self.target.device != facts.device:
            raise ValueError(
                f"runtime {self.runtime.name!r} executes on {facts.device!r}, got target.device {self.target.device!r}"
            )
        for field in ("weight_bits", "weight_only_bits"):
            lacking = [bits for bits in getattr(self.capabilities, field) if bits not in getattr(facts, field)]
            if lacking:
                raise ValueError(
                    f"runtime {self.runtime.name!r} executes capabilities.{field} of {getattr(facts, field)}, "
                    f"got {lacking[0]!r}"
                )
        if self.capabilities.sparse_density and not facts.executes_sparse:
            raise ValueError(
                f"runtime {self.runtime.name!r} executes zeros like other weights, got capabilities.sparse_density "
                f"{self.capabilities.sparse_density:g}: leave it out"
            )
        return self

    def content_key(self) -> str:
        """Gives the SHA-256 of everything that shapes a result: a key for caches.

        What only names the profile is left out: renaming it does not change what it measures. So are the place of the
        measuring and the machine's key, as the machine's fingerprint itself is part of every result.
        """
        named = {"name", "description", "is_measured", "host", "fingerprint"}
        content = self.model_dump(mode="json", exclude=named)
        if not self.capabilities.sparse_density:
            del content["capabilities"]["sparse_density"]  # so that the keys of earlier versions hold
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
