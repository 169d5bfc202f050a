"""What each tensor's part of a `.pare` file is made of: every byte is counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from .array_codes import ArrayCode
from .bit_packing import packed_bytes
from .directory import TensorRecord
from .number_streams import decode_numbers, plain_bits, stream_table_bytes
from .pare_file import read_container, restore
from .tensor_parts import Part
from .value_codes import PLANES, TABLE

VALUES, CODEBOOK, GAPS, TABLES = "values", "codebook", "gaps", "tables"


@dataclass(frozen=True, slots=True)
class TensorBytes:
    """One tensor's part.

    Attributes:
        name: Of the tensor.
        shape: Of the tensor, or of the weight that is restored.
        n_kept: Entries that are not zero.
        value_bits: Bits of each stored entry before entropy coding: of an index, or of a number as it lies in memory.
        gap_bits: Bits of each gap before entropy coding; None where all entries are stored.
        plain_bytes: What entries and gaps would take in these bits.
        coded_bytes: What they take, with the tables of their codes.
        parts: Bytes by what they are: the roles of `tensor_parts.Part`, `gaps`, `tables` of ANS codes, and as a
            `codebook` also the table of a tensor of few different values. Only what takes bytes is named.
    """

    name: str
    shape: tuple[int, ...]
    n_kept: int
    value_bits: int
    gap_bits: int | None
    plain_bytes: int
    coded_bytes: int
    parts: Mapping[str, int]

    @property
    def n_bytes(self) -> int:
        """Of all parts."""
        return sum(self.parts.values())

    @property
    def entropy_gain_bytes(self) -> int:
        """What entropy codes save of entries and gaps; of a Huffman code the table is part of the code."""
        return self.plain_bytes - self.coded_bytes


def account(data: bytes) -> list[TensorBytes]:
    """What each tensor takes of a file, in its order.

    What is left of the file's length is the header: facts, names, shapes, checksums, and padding.

    Args:
        data: The content of a `.pare` file.

    Raises:
        PackingError: The file is damaged.
    """
    return [_tensor_bytes(record) for record in read_container(data).records]


def _tensor_bytes(record: TensorRecord) -> TensorBytes:
    parts: Counter[str] = Counter()
    for part, code in zip(record.head.parts, record.codes, strict=True):
        parts.update(_bytes_by_role(part, code))
    entries, code = record.head.parts[0], record.codes[0]
    placement = code.placement
    n_stored = placement.n_kept if placement else entries.n_entries
    value_bits = _value_bits(code, n_stored, entries.dtype.itemsize)
    plain = packed_bytes(n_stored, value_bits) + (packed_bytes(placement.n_gaps, placement.bits) if placement else 0)
    restored = restore(record)
    weight = restored if isinstance(restored, Tensor) else restored.decode()
    return TensorBytes(
        record.name,
        record.head.shape,
        int(weight.count_nonzero()),
        value_bits,
        placement.bits if placement else None,
        plain,
        code.n_bytes - len(code.values.table),
        {role: n_bytes for role, n_bytes in parts.items() if n_bytes},
    )


def _bytes_by_role(part: Part, code: ArrayCode) -> dict[str, int]:
    gaps = [code.placement.gaps] if code.placement else []
    n_tables = sum(stream_table_bytes(each) for each in (*gaps, *code.values.streams))
    n_gaps = sum(len(each.data) - stream_table_bytes(each) for each in gaps)
    n_codebook = len(code.values.table) if part.role == VALUES else 0
    found = Counter({GAPS: n_gaps, TABLES: n_tables, CODEBOOK: n_codebook})
    found[part.role] += code.n_bytes - sum(found.values())
    return found


def _value_bits(code: ArrayCode, n_stored: int, item_bytes: int) -> int:
    if code.values.form == TABLE:
        return plain_bits(len(code.values.table) // item_bytes - 1)
    if code.values.form == PLANES and item_bytes == 1:
        return plain_bits(int(decode_numbers(code.values.streams[0], n_stored).max(initial=0)))
    return 8 * item_bytes
