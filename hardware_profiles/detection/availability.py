"""What of runtimes and profiles can be used on this machine, and what is missing for the rest."""

from __future__ import annotations

import functools
import platform
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import ProfileError
from ..fingerprint import processor
from ..measuring.cores import available_cores
from ..profile import HardwareProfile
from ..runtimes import check_runtime, get_runtime, runtime_facts, runtime_names


@dataclass(frozen=True, slots=True)
class RuntimePresence:
    """Whether a runtime can be used here.

    Attributes:
        name: The runtime.
        version: What is installed, None where it cannot be used.
        missing: What is missing, and how to get it; empty where it can be used.
    """

    name: str
    version: str | None
    missing: str


def find_runtimes() -> tuple[RuntimePresence, ...]:
    """Says of every runtime that is known whether it can be used here; it loads them all."""
    return tuple(find_runtime(name) for name in runtime_names())


@functools.cache
def find_runtime(name: str) -> RuntimePresence:
    """Says of one runtime whether it can be used here.

    Raises:
        ProfileError: The name is not registered.
    """
    facts = runtime_facts(name)
    try:
        runtime = get_runtime(name)
    except ProfileError:
        return RuntimePresence(name, None, f"needs {name}: pip install '{facts.requirement}'")
    try:
        check_runtime(name)
    except ProfileError as error:
        # A device cannot be installed; whatever else is missing, the runtime itself says best.
        return RuntimePresence(name, None, "needs a CUDA device" if facts.device == "cuda" else str(error))
    return RuntimePresence(name, runtime.version, "")


def missing_here(profile: HardwareProfile) -> tuple[str, ...]:
    """What keeps a profile from being measured on as it is, in few words each; empty where nothing does.

    A profile of another machine is not looked into: what is missing there shows when it is reached.
    """
    return tuple(_missing(profile))


def _missing(profile: HardwareProfile) -> Iterator[str]:
    if not profile.is_measured:
        yield "template, not measured"
    if not profile.host.is_local:
        return
    target, n_cores = profile.target, len(available_cores())
    if target.architecture not in (None, platform.machine()):
        yield f"needs {target.architecture}"
        return
    lacking = [flag for flag in target.requires if flag not in processor()[1]]
    if lacking:
        yield f"needs a processor with {', '.join(lacking)}"
    if profile.runtime.threads > n_cores:
        yield f"needs {profile.runtime.threads} cores, {n_cores} here"
    runtime = find_runtime(profile.runtime.name).missing
    if runtime:
        yield runtime
