"""The `.pare` file: tensors and facts in few bytes, read back to the last bit. `docs/pare.md` describes every byte."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..hardware_profiles.errors import PackingError
from .array_codes import decode_array, encode_array
from .byte_fields import FieldReader, FieldWriter
from .directory import TensorRecord, read_record, write_record
from .tensor_parts import Packable, put_together, take_apart

MAGIC = b"\x89PARE\r\n\x1a"
"""As that of PNG: a byte that is no ASCII, and line ends, so that a transfer as text is noticed."""
VERSION = 1
FLAT, DEFLATED = range(2)
N_HASH = 32
N_FRONT = len(MAGIC) + 1 + 1 + 4 + 4
"""Bytes before the header: magic, version, form of the header, its length, its CRC-32."""
MOST_EXPANSION = 1024
FREE_BYTES = 1 << 20
"""No file decodes to more than `FREE_BYTES + MOST_EXPANSION * its length`: the memory that a reader must give is known
before it decodes anything. What would be smaller is filled up with zeros."""
MOST_HEADER_EXPANSION = 32


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What a file holds.

    Attributes:
        tensors: By name, in the order in which they were packed.
        facts: As they come back from JSON.
    """

    tensors: Mapping[str, Packable]
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Container:
    """A file that is as it was written, its tensors not yet decoded.

    Attributes:
        facts: As they come back from JSON.
        records: The coded tensors, in the order of the file.
        n_padding: Zeros behind the last stream.
    """

    facts: Mapping[str, Any]
    records: tuple[TensorRecord, ...]
    n_padding: int


def pack(tensors: Mapping[str, Packable], facts: Mapping[str, Any]) -> bytes:
    """The content of a `.pare` file. The same input gives the same bytes.

    Args:
        tensors: By name; dense tensors of floats, integers or truth values, coded weights, tied weights.
        facts: Whatever else must be known, as JSON has it.

    Raises:
        PackingError: A tensor is of another type, or the facts are not JSON.
    """
    records = []
    for name, value in tensors.items():
        head, arrays = take_apart(value)
        records.append(TensorRecord(name, head, tuple(encode_array(each) for each in arrays)))
    return write_container(facts, records)


def unpack(data: bytes) -> Unpacked:
    """What `pack` was given.

    Args:
        data: The content of a file, from anywhere: nothing in it is executed, and what it may take of memory is checked
            before it is decoded.

    Raises:
        PackingError: The file is not as it was written.
    """
    container = read_container(data)
    return Unpacked({record.name: restore(record) for record in container.records}, container.facts)


def restore(record: TensorRecord) -> Packable:
    """One tensor of a file.

    Raises:
        PackingError: Its streams do not make such a tensor.
    """
    parts = zip(record.codes, record.head.parts, strict=True)
    try:
        arrays = [decode_array(code, part.shape, part.dtype.itemsize) for code, part in parts]
        return put_together(record.head, arrays)
    except PackingError as error:
        raise PackingError(f"{record.name!r} cannot be read: {error}") from error


def write_container(facts: Mapping[str, Any], records: Sequence[TensorRecord]) -> bytes:
    """A file of coded tensors.

    Raises:
        PackingError: The facts are not JSON, or a name is no text.
    """
    fields = FieldWriter()
    try:
        fields.text(json.dumps(dict(facts), sort_keys=True, separators=(",", ":"), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise PackingError(f"facts must be plain JSON, but: {error}; leave out what is not") from error
    fields.number(len(records))
    for record in records:
        write_record(record, fields)
    n_decoded = sum(record.head.decoded_bytes for record in records)
    return seal(fields.bytes(), b"".join(record.body for record in records), n_decoded)


def seal(header: bytes, body: bytes, n_decoded: int = 0) -> bytes:
    """A whole file with its checksums.

    Args:
        header: Facts and directory.
        body: The streams.
        n_decoded: Bytes of memory that they decode to; so short a file is filled up with zeros.
    """
    content = _front(header) + body
    missing = -(-(n_decoded - FREE_BYTES) // MOST_EXPANSION) - N_HASH - len(content)
    content += bytes(max(0, missing))
    return content + hashlib.sha256(content).digest()


def read_container(data: bytes) -> Container:
    """Everything but the tensors' entries, with all checksums verified.

    Raises:
        PackingError: The file is not as it was written, or decodes to more than such a file may.
    """
    is_whole = hashlib.sha256(data[:-N_HASH]).digest() == data[-N_HASH:]
    header, place = read_header(data)
    fields, body = FieldReader(header), FieldReader(data[place:-N_HASH])
    facts = _read_facts(fields.text())
    records: dict[str, TensorRecord] = {}
    for _ in range(fields.number()):
        record, is_kept = read_record(fields, body)
        if not is_kept:
            raise PackingError(f"{record.name!r} must have its checksum, but it has another: copy the file again")
        if record.name in records:
            raise PackingError(f"names must differ, got {record.name!r} twice: the file is damaged")
        records[record.name] = record
    if not is_whole:  # Only now: the checksums before say more about where the damage is.
        raise PackingError("a .pare file must have the SHA-256 that it ends in, but it has another: copy it again")
    padding = body.raw(body.n_left)
    if fields.n_left or padding.strip(b"\0"):
        raise PackingError("nothing but zeros must follow the last tensor, but something does: the file is damaged")
    n_decoded = sum(record.head.decoded_bytes for record in records.values())
    if n_decoded > (most := FREE_BYTES + MOST_EXPANSION * len(data)):
        raise PackingError(
            f"a file of {len(data)} bytes must decode to {most} bytes at most, got {n_decoded}: do not trust its source"
        )
    return Container(facts, tuple(records.values()), len(padding))


def _front(header: bytes) -> bytes:
    """Everything up to the first stream."""
    deflated = zlib.compress(header, 9, -zlib.MAX_WBITS)
    is_small = len(header) <= FREE_BYTES + MOST_HEADER_EXPANSION * len(deflated)
    form, stored = (DEFLATED, deflated) if len(deflated) < len(header) and is_small else (FLAT, header)
    checked = bytes([VERSION, form]) + len(stored).to_bytes(4, "little")
    return MAGIC + checked + zlib.crc32(checked + stored).to_bytes(4, "little") + stored


def _check_front(data: bytes) -> None:
    if data[: len(MAGIC)] != MAGIC or len(data) < N_FRONT + N_HASH:
        raise PackingError(
            f"a .pare file must begin with {MAGIC!r} and have {N_FRONT + N_HASH} bytes or more, got "
            f"{data[: len(MAGIC)]!r} and {len(data)}: give another file, or copy it again as binary"
        )
    if data[len(MAGIC)] != VERSION:
        raise PackingError(
            f"a .pare file must be of version {VERSION}, got {data[len(MAGIC)]}: read it with the parefront that "
            "wrote it"
        )


def read_header(data: bytes) -> tuple[bytes, int]:
    """Facts and directory, and where the first stream begins.

    Raises:
        PackingError: It is no such file, of a later version, or its header is damaged.
    """
    _check_front(data)
    checked, crc = data[len(MAGIC) : N_FRONT - 4], data[N_FRONT - 4 : N_FRONT]
    end = N_FRONT + int.from_bytes(checked[2:], "little")
    stored = data[N_FRONT:end]
    if end > len(data) - N_HASH or zlib.crc32(checked + stored).to_bytes(4, "little") != crc:
        raise PackingError("a .pare file's header must have its checksum, but it has another: copy the file again")
    if checked[1] == FLAT:
        return stored, end
    reader = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        header = reader.decompress(stored, FREE_BYTES + MOST_HEADER_EXPANSION * len(stored))
    except zlib.error as error:
        raise PackingError(f"a .pare file's header must be deflate data, but: {error}; the file is damaged") from error
    if checked[1] != DEFLATED or not reader.eof or reader.unused_data:
        raise PackingError(
            "a .pare file's header must end where its deflate data do, but does not: the file is damaged"
        )
    return header, end


def _read_facts(text: str) -> dict[str, Any]:
    try:
        facts = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise PackingError(f"the facts of a .pare file must be JSON, but: {error}; the file is damaged") from error
    if not isinstance(facts, dict):
        raise PackingError(
            f"the facts of a .pare file must be a JSON object, got {type(facts).__name__}: write it again"
        )
    return facts


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")
