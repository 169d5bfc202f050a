"""Damaged and forged `.pare` files: random changes of bytes, and changes behind checksums that were computed anew."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from parefront.hardware_profiles.errors import PackingError
from parefront.packing import CirculantWeight, CodedWeight, StoredWeight, TiedWeight, Unpacked, pack, unpack
from parefront.packing.directory import TensorRecord
from parefront.packing.number_streams import NumberStream
from parefront.packing.pare_file import N_HASH, read_container, read_header, seal, write_container

Change = Callable[[bytes, random.Random], bytes]


def sample_file(n_weights: int = 600) -> bytes:
    """A small file with every kind of tensor and form of array.

    Args:
        n_weights: About so many in each of the larger tensors, a multiple of 6.
    """
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(n_weights // 6, 6, generator=generator)
    is_kept = weight.abs() > 2
    codebook = torch.tensor([0.0, *torch.linspace(-3, 3, 16).tolist()])
    indices = torch.where(is_kept, torch.bucketize(weight, codebook[2:]) + 1, 0).byte()
    filters = torch.randn(3, 2, 3, 3, generator=generator)
    tensors: dict[str, Tensor | StoredWeight] = {
        "sparse": CodedWeight(indices, codebook),
        "dense": CodedWeight((weight.clamp(-2, 2) * 3).round().add(6).byte(), torch.arange(-6.0, 7.0), weight[:, 0]),
        "tied": TiedWeight(
            filters,
            torch.tensor([0, 1, 2, 1]).short(),
            torch.tensor([0, 3, 5, 7]).byte(),
            filters[0, 0, 0, :1].repeat(4),
        ),
        "circulant": CirculantWeight(weight.reshape(-1)[:24].reshape(2, 3, 4), weight.reshape(-1)[:8].clone()),
        "float": weight * is_kept,
        "half": weight.half(),
        "mask": is_kept,
        "signs": weight.sign(),
        "constant": torch.full((7,), 3, dtype=torch.int64),
        "empty": torch.empty(0, 3),
        "one": torch.tensor(1.5, dtype=torch.float64),
    }
    return pack(tensors, {"name": "sample", "sizes": [1, 2.5, None]})


def flip_bits(data: bytes, chance: random.Random) -> bytes:
    """One to eight bits are others."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def truncate(data: bytes, chance: random.Random) -> bytes:
    """The end is missing."""
    return data[: chance.randrange(len(data))]


def insert(data: bytes, chance: random.Random) -> bytes:
    """Up to 16 bytes more somewhere."""
    place = chance.randrange(len(data) + 1)
    return data[:place] + chance.randbytes(chance.randint(1, 16)) + data[place:]


def delete(data: bytes, chance: random.Random) -> bytes:
    """Up to 16 bytes are missing somewhere."""
    place = chance.randrange(len(data))
    return data[:place] + data[place + chance.randint(1, 16) :]


def repeat(data: bytes, chance: random.Random) -> bytes:
    """A piece lies over another place."""
    start, place = chance.randrange(len(data)), chance.randrange(len(data))
    piece = data[start : start + chance.randint(1, 64)]
    return data[:place] + piece + data[place + len(piece) :]


DAMAGES: tuple[Change, ...] = (flip_bits, truncate, insert, delete, repeat)


def forge_header(data: bytes, chance: random.Random) -> bytes:
    """The header is changed, and all checksums are computed anew."""
    header, place = read_header(data)
    changed = chance.choice((*DAMAGES, _other_numbers))(header, chance)
    return seal(changed, data[place:-N_HASH])


def forge_streams(data: bytes, chance: random.Random) -> bytes:
    """Some stream is changed, shortened or said to be of another method, and everything is written anew."""
    container = read_container(data)
    records = list(container.records)
    place = chance.randrange(len(records))
    records[place] = _forged(records[place], chance)
    return write_container(container.facts, records)


FORGERIES: tuple[Change, ...] = (forge_header, forge_streams)


def outcome(changed: bytes, original: bytes) -> str:
    """What becomes of a changed file: `refused`, `same`, `other`, or `crash: ` and the class of the error."""
    try:
        found = unpack(changed)
    except PackingError as error:
        return "refused" if "\n" not in str(error) else "crash: more than one line"
    except BaseException as error:  # also the panics of a library, which are no Exception
        return f"crash: {type(error).__name__}"
    return "same" if is_same(found, unpack(original)) else "other"


def outcomes(data: bytes, changes: tuple[Change, ...], n_changes: int, seed: int = 0) -> Counter[str]:
    """How often each outcome was seen.

    Args:
        data: A file.
        changes: What may be done to it.
        n_changes: How often.
        seed: Of the choice.
    """
    chance = random.Random(seed)
    found: Counter[str] = Counter()
    for _ in range(n_changes):
        changed = chance.choice(changes)(data, chance)
        found[outcome(changed, data) if changed != data else "unchanged"] += 1
    return found


def is_same(a: Unpacked, b: Unpacked) -> bool:
    """Whether two files hold the same, bit for bit and in the same order."""
    if list(a.tensors) != list(b.tensors) or a.facts != b.facts:
        return False
    return all(have_same_bits(each, b.tensors[name]) for name, each in a.tensors.items())


def have_same_bits(a: object, b: object) -> bool:
    """Whether two tensors, stored weights or nothing are the same, bit for bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(_bytes_of(a), _bytes_of(b))
    if not isinstance(a, StoredWeight):
        return a is b
    return all(have_same_bits(getattr(a, each.name), getattr(b, each.name)) for each in dataclasses.fields(a))


def _bytes_of(tensor: Tensor) -> Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def _other_numbers(header: bytes, chance: random.Random) -> bytes:
    """A byte of the directory becomes a very large number."""
    place = chance.randrange(len(header))
    large = chance.choice((b"\xff\xff\xff\xff\x0f", b"\xff" * 9 + b"\x01", b"\xff" * 12, b"\x80\x80\x40", b"\x00"))
    return header[:place] + large + header[place + 1 :]


def _forged(record: TensorRecord, chance: random.Random) -> TensorRecord:
    codes = list(record.codes)
    place = chance.randrange(len(codes))
    code = codes[place]
    if code.placement and chance.random() < 0.5:
        placement = dataclasses.replace(code.placement, gaps=_forged_stream(code.placement.gaps, chance))
        codes[place] = dataclasses.replace(code, placement=placement)
    elif code.values.streams:
        streams = list(code.values.streams)
        which = chance.randrange(len(streams))
        streams[which] = _forged_stream(streams[which], chance)
        codes[place] = dataclasses.replace(code, values=dataclasses.replace(code.values, streams=tuple(streams)))
    return dataclasses.replace(record, codes=tuple(codes))


def _forged_stream(stream: NumberStream, chance: random.Random) -> NumberStream:
    if not stream.data or chance.random() < 0.2:
        return NumberStream(chance.randrange(15), stream.data or chance.randbytes(9))
    return NumberStream(stream.method, chance.choice(DAMAGES)(stream.data, chance))
