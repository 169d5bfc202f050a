"""Whether a machine is the one that a profile describes."""

from __future__ import annotations

from .errors import ProfileError
from .fingerprint import Fingerprint, fingerprint
from .measuring.cores import available_cores
from .profile import HardwareProfile
from .runtimes import check_runtime


def check_host(profile: HardwareProfile) -> None:
    """Checks that this machine has what the profile asks for; a profile of another machine is not checked here.

    Raises:
        ProfileError: The profile wants more threads than this process may use cores, its runtime is not installed or
            lacks its device, or the machine is another than the profile was written for.
    """
    if profile.host.is_local:
        check_runtime(profile.runtime.name)
        check_machine(profile, fingerprint(profile), len(available_cores()))


def check_machine(profile: HardwareProfile, machine: Fingerprint, n_cores: int) -> None:
    """Checks a machine, here or elsewhere, against what a profile asks for.

    Args:
        profile: The profile.
        machine: The machine's fingerprint for the profile's runtime.
        n_cores: Cores that a measurement may use there.

    Raises:
        ProfileError: Something that the profile asks for is missing, or its fingerprint is another.
    """
    target = profile.target
    if profile.runtime.threads > n_cores:
        raise ProfileError(
            f"profile {profile.name!r} must not use more threads than the {n_cores} core(s) available, "
            f"got {profile.runtime.threads}: choose a profile with fewer threads or a larger machine"
        )
    if target.architecture is not None and not machine.system.endswith(f" {target.architecture}"):
        raise ProfileError(
            f"profile {profile.name!r} needs a machine of architecture {target.architecture!r}, got "
            f"{machine.system.rpartition(' ')[2]!r}: measure on such a machine (set `host`) or choose another profile"
        )
    lacking = [flag for flag in target.requires if flag not in machine.isa_flags]
    if lacking:
        raise ProfileError(
            f"profile {profile.name!r} needs a processor with {', '.join(lacking)}, got {machine.cpu_model} without: "
            "choose a profile for this processor, `parefront hardware detect` writes one"
        )
    if profile.fingerprint is not None and profile.fingerprint != machine.key:
        raise ProfileError(
            f"profile {profile.name!r} was written for machine {profile.fingerprint}, got {machine.key} "
            f"({machine.cpu_model}, {machine.runtime}): write it again with `parefront hardware detect`, or remove its "
            "`fingerprint` line"
        )
