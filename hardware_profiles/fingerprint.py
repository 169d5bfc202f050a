"""What a measured time depends on besides the network and the profile: the machine and the versions on it."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Self

from .errors import MeasurementError
from .measuring.cores import available_cores
from .profile import HardwareProfile
from .runtimes import get_runtime

# Instruction sets that decide which kernels run: x86 names from /proc/cpuinfo, then Arm's.
ISA_FLAGS = frozenset(
    {"avx", "avx2", "fma", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16"}
    | {"amx_tile", "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "bf16", "sve", "sve2", "fphp", "asimdhp"}
)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A machine and the software that a measurement ran with; latencies of different fingerprints never mix.

    Attributes:
        cpu_model: The processor's own name.
        isa_flags: The instruction sets that matter for kernels, sorted.
        n_cores: Cores that this process may use.
        system: Operating system, kernel release and architecture.
        python: Version of Python.
        runtime: The profile's runtime and its version.
        numpy: Version of NumPy.
    """

    cpu_model: str
    isa_flags: tuple[str, ...]
    n_cores: int
    system: str
    python: str
    runtime: str
    numpy: str

    @property
    def key(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of `to_json`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Gives the fingerprint as canonical JSON text."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Reads the fields of another machine's fingerprint.

        Raises:
            MeasurementError: They are those of another version.
        """
        try:
            return cls(**{**content, "isa_flags": tuple(content["isa_flags"])})
        except (TypeError, KeyError) as error:
            raise MeasurementError(
                f"a fingerprint must have the fields of this version, but {error}: install the same version of "
                "parefront on both sides"
            ) from None


def fingerprint(profile: HardwareProfile) -> Fingerprint:
    """Takes the fingerprint of this machine for a profile's runtime.

    Raises:
        ProfileError: The runtime is not installed.
    """
    return machine_fingerprint(profile.runtime.name, len(available_cores()))


def machine_fingerprint(runtime_name: str, n_cores: int) -> Fingerprint:
    """Takes the fingerprint of this machine for a runtime.

    Args:
        runtime_name: A registered runtime.
        n_cores: Cores that this process might use before it was pinned to some.

    Raises:
        ProfileError: The runtime is not installed.
    """
    cpu_model, flags = processor()
    runtime = get_runtime(runtime_name)
    return Fingerprint(
        cpu_model=cpu_model,
        isa_flags=tuple(sorted(flags & ISA_FLAGS)),
        n_cores=n_cores,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        runtime=f"{runtime.name} {runtime.version}",
        numpy=metadata.version("numpy"),
    )


def processor() -> tuple[str, frozenset[str]]:
    """Reads the first processor of /proc/cpuinfo; elsewhere the name alone is known."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return platform.processor() or platform.machine(), frozenset()
    fields: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    flags = fields.get("flags", fields.get("Features", ""))
    # Virtual machines often hide the model's name; family, model and stepping still tell processors apart.
    numbers = "/".join(fields.get(name, "?") for name in ("cpu family", "model", "stepping"))
    return f"{fields.get('model name', platform.machine())} ({numbers})", frozenset(flags.split())
