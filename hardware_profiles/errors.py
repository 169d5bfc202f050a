"""Every error this project raises on purpose.

A message is one line and says three things: the rule, the value that broke it, and the remedy. The command line prints
the message and nothing else, so a person must be able to act on it alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ParefrontError(Exception):
    """The base of all errors a user can cause or act on."""


class ProfileError(ParefrontError):
    """A hardware profile is unknown, malformed or does not fit this machine."""


class SpaceError(ParefrontError):
    """A site, choice or configuration breaks a rule of the search space."""


class TaskError(ParefrontError):
    """A task is unknown, cannot be loaded or does not hold what a task must."""


class SearchError(ParefrontError):
    """A search cannot start, go on or resume."""


class TrainingError(ParefrontError):
    """Training or fine-tuning failed, for instance by a loss that is not finite."""


class MeasurementError(ParefrontError):
    """A latency could not be measured."""


class DeviceLostError(MeasurementError):
    """The device that measures cannot be reached: nothing is wrong with the network that was to be measured."""


class PackingError(ParefrontError):
    """Numbers cannot be packed, or what was packed is damaged."""


class ExportError(ParefrontError):
    """A network could not be written as, or verified against, a deployable file."""


_MOST_SHOWN = 12
_SHOWN = 5


def unknown_name(kind: str, value: str, known: Iterable[str]) -> str:
    """Words the message for a name that is not known, the most similar known name first.

    Args:
        kind: What is being named, in the singular, for instance ``"profile"``.
        value: The name that was given.
        known: All names that would have been accepted, in any order.

    Returns:
        One line such as ``unknown profile 'cpu-ort-1': known profiles are cpu-ort-1t, cpu-ort-2t``.
    """

    def similarity(name: str) -> float:
        return difflib.SequenceMatcher(None, value.lower(), name.lower()).ratio()

    # Sorting by name first makes the order of equally similar names independent of the caller's.
    names = sorted(sorted(set(known)), key=similarity, reverse=True)
    if not names:
        return f"unknown {kind} {value!r}: no {kind} is known here"
    if len(names) > _MOST_SHOWN:
        return f"unknown {kind} {value!r}: the closest of {len(names)} are {', '.join(names[:_SHOWN])}"
    plural = f"known {kind}s are" if len(names) > 1 else f"the only known {kind} is"
    return f"unknown {kind} {value!r}: {plural} {', '.join(names)}"
