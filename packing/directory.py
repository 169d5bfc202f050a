"""The directory of a `.pare` file: which tensors it holds, how each is coded, and how long each stream is."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from ..hardware_profiles.errors import PackingError
from .array_codes import COLUMNS, ArrayCode, Placement
from .byte_fields import FieldReader, FieldWriter
from .gaps import GAP_BITS
from .number_streams import NumberStream
from .tensor_parts import CIRCULANT, TENSOR, TYPES, TensorHead
from .value_codes import LEVELS, MOST_LEVEL, TABLE, ValueCode, n_streams

HAS_GAPS = 8
"""Added to an array's form."""


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """One coded tensor.

    Attributes:
        name: By which it is asked for.
        head: What is known of it.
        codes: One per part.
    """

    name: str
    head: TensorHead
    codes: tuple[ArrayCode, ...]

    @property
    def body(self) -> bytes:
        """Its streams, one behind the other."""
        return b"".join(data for code in self.codes for data in _pieces(code))


def write_record(record: TensorRecord, fields: FieldWriter) -> None:
    """Writes what is known of a tensor, the lengths of its streams and their CRC-32."""
    head = record.head
    fields.text(record.name)
    fields.number(head.kind)
    if head.kind == TENSOR:
        fields.number(TYPES.index(head.dtype))
    else:
        fields.number(head.n_rows)
        fields.number(int(head.has_scale))
    fields.number(len(head.shape))
    for length in head.shape:
        fields.number(length)
    for code in record.codes:
        _write_code(code, fields)
    fields.raw(zlib.crc32(record.body).to_bytes(4, "little"))


def read_record(fields: FieldReader, body: FieldReader) -> tuple[TensorRecord, bool]:
    """Reads what is known of a tensor, and takes its streams.

    Args:
        fields: Of the directory.
        body: The streams; they are not decoded here.

    Returns:
        The tensor, and whether its streams have the CRC-32 that they must have.

    Raises:
        PackingError: The fields are damaged, or the streams are not all there.
    """
    name, kind = fields.text(), fields.number()
    if kind > CIRCULANT:
        raise PackingError(f"the kind of a tensor must be within 0..{CIRCULANT}, got {kind}: the file is damaged")
    second = fields.number()
    if kind == TENSOR and second >= len(TYPES):
        raise PackingError(f"the type of a tensor must be below {len(TYPES)}, got {second}: the file is damaged")
    has_scale = kind != TENSOR and fields.number() == 1
    shape = tuple(fields.number() for _ in range(fields.number()))
    dtype = TYPES[second] if kind == TENSOR else TYPES[0]
    head = TensorHead(kind, dtype, shape, 0 if kind == TENSOR else second, has_scale)
    head.check()
    codes = tuple(_read_code(fields, body, part.dtype.itemsize) for part in head.parts)
    record = TensorRecord(name, head, codes)
    return record, zlib.crc32(record.body).to_bytes(4, "little") == fields.raw(4)


def _pieces(code: ArrayCode) -> list[bytes]:
    """An array's streams in the order of the file."""
    gaps = [code.placement.gaps.data] if code.placement else []
    return [*gaps, code.values.table, *(each.data for each in code.values.streams)]


def _write_code(code: ArrayCode, fields: FieldWriter) -> None:
    values, placement = code.values, code.placement
    fields.number(values.form + (HAS_GAPS if placement else 0))
    if placement:
        for number in (placement.order, placement.bits, placement.n_gaps, placement.n_kept, placement.skipped):
            fields.number(number)
        _write_stream(placement.gaps, fields)
    if values.form == TABLE:
        fields.number(len(values.table))
    if values.form == LEVELS:
        fields.signed(values.first)
    for stream in values.streams:
        _write_stream(stream, fields)


def _read_code(fields: FieldReader, body: FieldReader, item_bytes: int) -> ArrayCode:
    form = fields.number()
    placement = None
    if form >= HAS_GAPS:
        form -= HAS_GAPS
        order, bits, n_gaps, n_kept, skipped = (fields.number() for _ in range(5))
        if order > COLUMNS or bits not in GAP_BITS or skipped >> (8 * item_bytes):
            raise PackingError(
                f"gaps must be in order 0 or 1, of 2 to 8 bits, around an entry of {item_bytes} bytes, got {order}, "
                f"{bits} and {skipped}: the file is damaged"
            )
        placement = Placement(order, bits, n_gaps, n_kept, skipped, _read_stream(fields, body))
    count = n_streams(form, item_bytes)
    table = body.raw(fields.number()) if form == TABLE else b""
    first = fields.signed() if form == LEVELS else 0
    if abs(first) > MOST_LEVEL:
        raise PackingError(f"levels must begin within {MOST_LEVEL} of 0, got {first}: the file is damaged")
    streams = tuple(_read_stream(fields, body) for _ in range(count))
    return ArrayCode(ValueCode(form, streams, table, first), placement)


def _write_stream(stream: NumberStream, fields: FieldWriter) -> None:
    fields.number(stream.method)
    fields.number(len(stream.data))


def _read_stream(fields: FieldReader, body: FieldReader) -> NumberStream:
    method = fields.number()
    return NumberStream(method, body.raw(fields.number()))
