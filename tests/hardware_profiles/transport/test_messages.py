import json
from typing import Any

import pytest

from parefront.hardware_profiles.transport.messages import (
    MAX_LINE_BYTES,
    MessageError,
    check_answer,
    check_request,
    decode,
    encode,
    failure,
    one_line,
)

BEGIN = {
    "type": "begin",
    "runtime": "onnxruntime",
    "threads": 1,
    "batch_size": 1,
    "paths": ["a"],
    "warmup_ms": 5.0,
    "is_fresh": False,
    "lease_timeout_s": 1.0,
}
BURSTS = {
    "runs_ms": [[1.0, 2], [0.5]],
    "joules": [None, 0.2],
    "wall_s": 0.1,
    "foreign_s": -0.01,
    "steal_s": 0.0,
    "is_realtime": True,
}


def test_a_message_is_one_line_of_json_with_the_version() -> None:
    line = encode({"type": "end"})
    assert json.loads(line) == {"type": "end", "protocol": 2}
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode(line) == {"type": "end", "protocol": 2}


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (b"hello", "one line in JSON, got b'hello'"),
        (b"", "one line in JSON"),
        (b'{"protocol": 2, "type": "e', "one line in JSON"),  # truncated
        (b'{"protocol": 2, "wall_s": NaN}', "one line in JSON"),
        (b"\xff\xfe{}", "one line in JSON"),
        (b"[" * 200_000, "one line in JSON"),
        (b"[1]", "a JSON object, got list"),
        (b"{}", "of protocol 2, got 'None'"),
        (b'{"protocol": 1}', "of protocol 2, got '1': install the same version"),
    ],
)
def test_what_is_no_message_is_refused(line: bytes, rule: str) -> None:
    with pytest.raises(MessageError, match=rule):
        decode(line)


@pytest.mark.parametrize(
    "request_",
    [
        BEGIN,
        {"type": "end", "timeout_s": 5, "protocol": 2},
        {"type": "bursts", "order": ["a", "b"], "burst_ms": 40},
        {"type": "has", "artefact": "sha256:" + "0" * 64},
        {"type": "chunk", "file": 0, "offset": 0, "data": "AAAA"},
    ],
)
def test_good_requests_pass(request_: dict[str, Any]) -> None:
    check_request(request_)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"type": "explode"}, "type must be one of begin, .* got 'explode'"),
        ({"type": ["begin"]}, "type must be one of"),
        ({"threads": 0}, "field 'threads': must be a whole number from 1 to 4096, got '0'"),
        ({"threads": True}, "field 'threads'"),
        ({"threads": "1"}, "field 'threads'"),
        ({"warmup_ms": -1}, "field 'warmup_ms'"),
        ({"warmup_ms": 1e300}, "field 'warmup_ms'"),
        ({"timeout_s": "soon"}, "field 'timeout_s'"),
        ({"paths": []}, "field 'paths'"),
        ({"paths": ["a"] * 9}, "field 'paths'"),
        ({"paths": [1]}, "field 'paths'"),
        ({"paths": ["a" * 5000]}, "field 'paths'"),
        ({"is_fresh": 1}, "field 'is_fresh': must be true or false"),
        ({"colour": "red"}, "must have no field 'colour'"),
    ],
)
def test_every_field_of_a_request_is_checked(change: dict[str, Any], rule: str) -> None:
    with pytest.raises(MessageError, match=rule):
        check_request({**BEGIN, **change})


@pytest.mark.parametrize("missing", [name for name in BEGIN if name != "type"])
def test_no_field_may_be_missing(missing: str) -> None:
    with pytest.raises(MessageError, match=f"must have the field '{missing}'"):
        check_request({name: value for name, value in BEGIN.items() if name != missing})


@pytest.mark.parametrize(
    "file",
    [
        {},
        {"name": "a", "size_bytes": 1},
        {"name": "a", "size_bytes": -1, "sha256": "0" * 64},
        {"name": "a", "size_bytes": 1, "sha256": "0" * 63},
        {"name": "", "size_bytes": 1, "sha256": "0" * 64},
        {"name": "a", "size_bytes": 1, "sha256": "0" * 64, "mode": 7},
        "a",
    ],
)
def test_announced_files_are_checked(file: object) -> None:
    with pytest.raises(MessageError, match="field 'files'"):
        check_request({"type": "upload", "artefact": "sha256:" + "0" * 64, "format": ".onnx", "files": [file]})


@pytest.mark.parametrize("name", ["/etc/passwd", "sha256:../x", "sha256:" + "A" * 64, "sha256:" + "0" * 64 + "\n", ""])
def test_an_artefact_is_named_by_its_digest(name: str) -> None:
    with pytest.raises(MessageError, match="field 'artefact'"):
        check_request({"type": "has", "artefact": name})


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({}, None),
        ({"note": "anything"}, None),
        ({"runs_ms": [[1.0, 0.0]]}, "field 'runs_ms'"),  # its logarithm is taken
        ({"runs_ms": [[]]}, "field 'runs_ms'"),
        ({"runs_ms": "fast"}, "field 'runs_ms'"),
        ({"wall_s": 0}, "field 'wall_s'"),  # it is divided by
        ({"foreign_s": None}, "field 'foreign_s'"),
    ],
)
def test_every_number_of_an_answer_is_checked(change: dict[str, Any], rule: str | None) -> None:
    answer = {**BURSTS, **change}
    if rule is None:
        check_answer("bursts", answer)
    else:
        with pytest.raises(MessageError, match=rule):
            check_answer("bursts", answer)


def test_an_answer_without_its_numbers_is_refused() -> None:
    with pytest.raises(MessageError, match="answer to 'bursts' must have the field 'runs_ms'"):
        check_answer("bursts", {"ok": True})


def test_a_failure_is_one_printable_line() -> None:
    assert failure("two\nlines") == {"ok": False, "error": "two lines"}
    assert one_line("\x1b[31mred\x07") == "[31mred"
    assert len(one_line("x" * MAX_LINE_BYTES)) == 2000
