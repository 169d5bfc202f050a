"""The format of what meter and worker say to each other, and the checks on it.

A message is one JSON object on one line of UTF-8, at most `MAX_LINE_BYTES` long, with ``"protocol"``. A request has
``"type"`` and the fields of its type; its answer has ``"ok"`` and, where that is false, ``"error"``. Before an answer
the worker may send lines with ``"waiting"``: why it takes long. What the requests mean stands in `meter_worker` and,
for artefacts, in `remote_service`.

Every field of a request is checked before anything is done with it, and so is every field of an answer that numbers are
computed from: the other side may be another version, or no friend.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ..errors import MeasurementError

PROTOCOL_VERSION = 2
MAX_LINE_BYTES = 8 << 20
CHUNK_BYTES = 1 << 20
"""Of an artefact, per message; base64 makes four bytes of three."""
MAX_FILES = 64
"""Of an artefact: a network and the files that hold its weights."""
_MAX_ERROR_CHARACTERS = 2000

# Any: a message's values are whatever JSON holds until they are checked.
Message = dict[str, Any]


class MessageError(MeasurementError):
    """A line is no message of this protocol."""


def encode(message: Message) -> bytes:
    """Gives a message's line, with the protocol's version."""
    return json.dumps({**message, "protocol": PROTOCOL_VERSION}).encode() + b"\n"


def failure(reason: str) -> Message:
    """The answer that says why there is none, in one line."""
    return {"ok": False, "error": one_line(reason)}


def one_line(text: object) -> str:
    """What may be shown of what another machine says: printable, one line, not endless."""
    words = " ".join(str(text)[: 2 * _MAX_ERROR_CHARACTERS].split())
    return "".join(letter for letter in words if letter.isprintable())[:_MAX_ERROR_CHARACTERS]


def decode(line: bytes) -> Message:
    """Reads a line.

    Raises:
        MessageError: It is not a JSON object, or of another version of the protocol.
    """
    try:
        message = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise MessageError(
            f"a message must be one line in JSON, got {line[:80]!r}: run parefront-meter there and nothing that prints"
        ) from None
    if not isinstance(message, dict):
        raise MessageError(f"a message must be a JSON object, got {type(message).__name__}: report this as a bug")
    if message.get("protocol") != PROTOCOL_VERSION:
        raise MessageError(
            f"a message must be of protocol {PROTOCOL_VERSION}, got {str(message.get('protocol'))[:40]!r}: install the "
            "same version of parefront on both sides"
        )
    return message


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are not JSON, but Python would read them.


@dataclass(frozen=True, slots=True)
class Rule:
    """What a field must hold.

    Attributes:
        text: For people, after "must be".
        holds: Whether a value does.
    """

    text: str
    holds: Callable[[Any], bool]


def _whole(low: int, high: int) -> Rule:
    return Rule(f"a whole number from {low} to {high}", lambda value: type(value) is int and low <= value <= high)


def _number(low: float, high: float) -> Rule:
    return Rule(
        f"a number from {low:g} to {high:g}", lambda value: type(value) in (int, float) and low <= value <= high
    )


def _text(longest: int) -> Rule:
    return Rule(f"a text of 1 to {longest} characters", lambda value: type(value) is str and 0 < len(value) <= longest)


def _pattern(text: str, pattern: str) -> Rule:
    compiled = re.compile(pattern)
    return Rule(text, lambda value: type(value) is str and compiled.fullmatch(value) is not None)


def _list(rule: Rule, most: int, least: int = 1) -> Rule:
    return Rule(
        f"a list of {least} to {most}, each {rule.text}",
        lambda value: type(value) is list and least <= len(value) <= most and all(map(rule.holds, value)),
    )


def _optional(rule: Rule) -> Rule:
    return Rule(f"{rule.text}, or null", lambda value: value is None or rule.holds(value))


_FLAG = Rule("true or false", lambda value: type(value) is bool)
_SECONDS = _number(0, 1e6)
_NAME = _text(4096)
_SIZE = _whole(0, 1 << 50)
_SHA256 = _pattern("64 hexadecimal digits", "[0-9a-f]{64}")
_FILE_RULES = {"name": _text(200), "size_bytes": _SIZE, "sha256": _SHA256}
_FILE = Rule(
    "an object of name, size_bytes and sha256",
    lambda value: (
        type(value) is dict
        and value.keys() == _FILE_RULES.keys()
        and all(_FILE_RULES[k].holds(value[k]) for k in value)
    ),
)

_OPERATOR = Rule(
    "a list of layer (or null), operator, precision and microseconds",
    lambda value: (
        type(value) is list
        and len(value) == 4
        and (value[0] is None or type(value[0]) is str)
        and type(value[1]) is str
        and type(value[2]) is str
        and type(value[3]) in (int, float)
        and value[3] >= 0
    ),
)

# Field -> rule, for requests and answers alike: a name means the same everywhere.
_FIELDS: Mapping[str, Rule] = {
    "type": _text(40),
    "timeout_s": _SECONDS,
    "runtime": _text(100),
    "threads": _whole(1, 4096),
    "batch_size": _whole(1, 1 << 20),
    "path": _NAME,
    "paths": _list(_NAME, 8),
    "order": _list(_NAME, 8),
    "warmup_ms": _number(0, 1e6),
    "burst_ms": _number(0, 1e6),
    "repeats": _whole(1, 100_000),
    "lease_timeout_s": _SECONDS,
    "artefact": _pattern("sha256: and 64 hexadecimal digits", "sha256:[0-9a-f]{64}"),
    "format": _text(20),
    "files": _list(_FILE, MAX_FILES),
    "file": _whole(0, MAX_FILES - 1),
    "offset": _SIZE,
    "data": Rule(
        f"base64 of 1 to {CHUNK_BYTES} bytes", lambda value: type(value) is str and 0 < len(value) <= 2 * CHUNK_BYTES
    ),
    "ok": _FLAG,
    "error": _text(_MAX_ERROR_CHARACTERS),
    "waiting": _text(_MAX_ERROR_CHARACTERS),
    "cores": _list(_whole(0, 1 << 20), 4096),
    # An inference takes at least a nanosecond, or the clock did not run.
    "runs_ms": _list(_list(_number(1e-6, 1e9), 1_000_000), 8),
    "wall_s": _number(1e-9, 1e6),
    "foreign_s": _number(-1e6, 1e6),
    "steal_s": _number(-1e6, 1e6),
    "joules": _list(_optional(_number(0, 1e9)), 8),
    "memory_bytes": _list(_optional(_SIZE), 8),
    "is_fresh": _FLAG,
    "n_cores": _whole(1, 1 << 20),
    "operators": _list(_OPERATOR, 1_000_000, least=0),
    "is_realtime": _FLAG,
    "is_there": _FLAG,
    "version": _text(100),
    "formats": _list(_text(20), 20),
}
_ALWAYS_ALLOWED = frozenset({"protocol", "type", "timeout_s"})

# Type of a request -> its fields, all of them required.
_REQUESTS: Mapping[str, tuple[str, ...]] = {
    "begin": ("runtime", "threads", "batch_size", "paths", "warmup_ms", "is_fresh", "lease_timeout_s"),
    "bursts": ("order", "burst_ms"),
    "end": (),
    "profile": ("runtime", "threads", "batch_size", "path", "repeats", "lease_timeout_s"),
    "describe": ("runtime",),
    "conditions": (),
    "hello": (),
    "has": ("artefact",),
    "upload": ("artefact", "format", "files"),
    "chunk": ("file", "offset", "data"),
    "commit": (),
}
_ANSWERS: Mapping[str, tuple[str, ...]] = {
    "begin": ("cores", "memory_bytes"),
    "bursts": ("runs_ms", "joules", "wall_s", "foreign_s", "steal_s", "is_realtime"),
    "profile": ("operators",),
    "describe": ("n_cores",),
    "hello": ("version", "formats"),
    "has": ("is_there",),
}


def check_request(request: Message) -> None:
    """Checks that a request has every field of its type, no other, and values that can be meant.

    Raises:
        MessageError: It breaks a rule; the first one is named.
    """
    kind = request.get("type")
    if not isinstance(kind, str) or kind not in _REQUESTS:
        raise MessageError(
            f"a request's type must be one of {', '.join(_REQUESTS)}, got {str(kind)[:40]!r}: install the same version "
            "of parefront on both sides"
        )
    fields = _REQUESTS[kind]
    for name in request:
        if name not in fields and name not in _ALWAYS_ALLOWED:
            raise MessageError(
                f"request {kind!r} must have no field {name[:40]!r}: install the same version on both sides"
            )
    _check_fields(f"request {kind!r}", request, fields)


def check_answer(kind: str, answer: Message) -> None:
    """Checks the fields of an answer that says "ok"; ones without a rule are for people and pass.

    Raises:
        MessageError: It breaks a rule; the first one is named.
    """
    _check_fields(f"the answer to {kind!r}", answer, _ANSWERS.get(kind, ()))


def _check_fields(what: str, message: Message, required: tuple[str, ...]) -> None:
    for name in required:
        if name not in message:
            raise MessageError(f"{what} must have the field {name!r}: install the same version on both sides")
    for name, value in message.items():
        rule = _FIELDS.get(name)
        if rule is not None and not rule.holds(value):
            raise MessageError(
                f"{what}, field {name!r}: must be {rule.text}, got {str(value)[:60]!r}: install the same version on "
                "both sides"
            )
