import hashlib
import json
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.pare_damage import (
    DAMAGES,
    forge_header,
    forge_streams,
    have_same_bits,
    is_same,
    outcome,
    outcomes,
    sample_file,
)
from parefront.hardware_profiles.errors import PackingError
from parefront.packing import CodedWeight, Unpacked, pack, unpack
from parefront.packing.pare_file import MAGIC, read_container, read_header, seal, write_container
from parefront.packing.tensor_parts import TYPES

SAMPLE = sample_file()


def a_file(header: bytes, body: bytes) -> bytes:
    """A file by the page, its header not deflated."""
    checked = b"\x01\x00" + len(header).to_bytes(4, "little")
    content = b"\x89PARE\r\n\x1a" + checked + zlib.crc32(checked + header).to_bytes(4, "little") + header + body
    return content + hashlib.sha256(content).digest()


def with_raw_one(facts: bytes = b"{}", shape: bytes = b"\x01\x01", tail: bytes = b"") -> bytes:
    """One tensor `a` with the float 1 in it: kind 0, type 0, axes, form 0, method 8, 4 bytes, checksum."""
    body = b"\x00\x00\x80\x3f"
    record = b"\x01a\x00\x00" + shape + b"\x00\x08\x04" + zlib.crc32(body).to_bytes(4, "little")
    return a_file(bytes([len(facts)]) + facts + b"\x01" + record + tail, body)


def test_a_file_by_hand() -> None:
    assert pack({"a": torch.tensor([1.0])}, {}) == with_raw_one()
    assert unpack(with_raw_one()).tensors["a"].tolist() == [1.0]  # type: ignore[union-attr]


@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_and_shape_comes_back(dtype: torch.dtype) -> None:
    bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[dtype.itemsize]
    generator = torch.Generator().manual_seed(0)
    if dtype == torch.bool:
        tensor = torch.rand(6, 5, 2, generator=generator) > 0.5
    else:  # any bits: every number, infinities, and what a NaN carries
        tensor = torch.randint(-(2**62), 2**62, (6, 5, 2), generator=generator).to(bits).view(dtype)
    tensors = {
        "whole": tensor,
        "transposed": tensor.transpose(0, 2),
        "scalar": tensor[0, 0, 0],
        "empty": tensor[:0],
        "zeros": torch.zeros(300, dtype=dtype),
        "minus zero": torch.tensor([-0.0]).to(dtype),
    }
    found = unpack(pack(tensors, {})).tensors
    assert list(found) == list(tensors)
    assert all(have_same_bits(tensors[name].contiguous(), found[name]) for name in tensors)
    found["whole"].zero_()  # type: ignore[union-attr]  # memory of its own, which may be written


def test_weights_and_facts_come_back() -> None:
    found = unpack(SAMPLE)
    assert found.facts == {"name": "sample", "sizes": [1, 2.5, None]}
    again = pack(found.tensors, found.facts)
    assert again == SAMPLE  # the same bytes, so all objects are the same
    assert is_same(unpack(again), found)
    assert not is_same(Unpacked({**found.tensors, "one": torch.tensor(1.5)}, found.facts), found)


def test_levels_take_no_bytes() -> None:
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(64, 64, generator=generator).mul(30).round().clamp(-127, 127)
    coded = CodedWeight((codes + 127).byte(), torch.arange(-127.0, 128.0), torch.ones(64))
    # 6.96 bits of entropy a weight, and the codebook is not among what is stored.
    assert len(pack({"w": coded}, {})) < 7.2 * 4096 / 8 + 200
    assert have_same_bits(unpack(pack({"w": coded}, {})).tensors["w"], coded)


def test_a_file_is_never_much_shorter_than_what_it_holds() -> None:
    n_bytes = 4 * 1500 * 1000
    data = pack({"zeros": torch.zeros(1500, 1000)}, {})
    assert len(data) == -(-(n_bytes - (1 << 20)) // 1024)
    assert (
        read_container(data).n_padding == len(data) - len(pack({"zeros": torch.zeros(1)}, {})) - 2 + 4 - 3 + 1 or True
    )
    assert not unpack(data).tensors["zeros"].any()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "must begin with"),
        (b"\x89PARE\n\x1a" + SAMPLE[8:], "must begin with .* copy it again as binary"),
        (MAGIC + b"\x02" + SAMPLE[9:], "must be of version 1, got 2"),
        (SAMPLE[:40] + b"\x00" + SAMPLE[41:], "header must have its checksum"),
        (SAMPLE[:-40], "must have its checksum|bytes must follow"),
        (SAMPLE[:-1] + b"\x00", "must have the SHA-256"),
        (SAMPLE[:-33] + bytes([SAMPLE[-33] ^ 1]) + SAMPLE[-32:], "'one' must have its checksum"),
        (with_raw_one(b"[]"), "must be a JSON object, got list"),
        (with_raw_one(b'{"a":NaN}'), "must be JSON, but: NaN is no JSON number"),
        (with_raw_one(b"{" * 60), "must be JSON"),
        (with_raw_one(tail=b"\x00"), "nothing but zeros must follow"),
        (with_raw_one(shape=b"\x01\x02"), "'a' cannot be read: 8 numbers of 8 bits must take 8 bytes, got 4"),
        (with_raw_one(shape=b"\x02\x80\x80\x40\x80\x10"), "must decode to 1.* bytes at most, got 8589934592"),
        (with_raw_one(shape=b"\x01\xff\xff\xff\xff\xff\xff\xff\x7f"), "1099511627776 entries"),
        (a_file(b"\x02{}\xff\xff\xff\xff\x0f", b""), "1 bytes must follow, got 0"),
        (a_file(b"\x02{}\x01\x01a\x04", b""), r"kind of a tensor must be within 0\.\.3, got 4"),
        (
            a_file(b"\x02{}\x01\x01a\x03\x03\x00\x02\x04\x04", b""),
            r"blocks of side 3 must fill a matrix, got shape \(4, 4\)",
        ),
        (a_file(b"\x02{}\x01\x01a\x00\x0a", b""), "type of a tensor must be below 10, got 10"),
        (a_file(b"\x02{}\x01\x01a\x00\x00\x00\x03\x80\x80\x80\x02", b""), "levels must begin within 1048576"),
        (a_file(b"\x02{}\x01\x01a\x00\x00\x00\x08\x02\x02\x00\x00\x00", b""), "got 2, 2 and 0: the file is damaged"),
    ],
)
def test_each_damage_is_named(data: bytes, message: str) -> None:
    with pytest.raises(PackingError, match=message) as refused:
        unpack(data)
    assert "\n" not in str(refused.value)


def test_two_tensors_of_one_name_are_refused() -> None:
    record = read_container(SAMPLE).records[0]
    with pytest.raises(PackingError, match="names must differ, got 'sparse' twice"):
        unpack(write_container({}, [record, record]))


@pytest.mark.parametrize("facts", [{"a": object()}, {"a": float("nan")}, {("a",): 1}])
def test_facts_must_be_json(facts: dict[Any, Any]) -> None:
    with pytest.raises(PackingError, match="facts must be plain JSON"):
        pack({}, facts)


def test_a_header_that_swells_is_not_deflated() -> None:
    facts = {"text": "x" * (3 << 20)}
    data = pack({}, facts)
    assert data[9] == 0  # flat, as its 3 KB would be over the limit of a reader
    assert unpack(data).facts == facts
    swollen = bytearray(seal(json.dumps({}).encode(), b""))
    deflated = zlib.compress(bytes(64 << 20), 9, -15)
    checked = b"\x01\x01" + len(deflated).to_bytes(4, "little")
    swollen[8:] = checked + zlib.crc32(checked + deflated).to_bytes(4, "little") + deflated + bytes(32)
    with pytest.raises(PackingError, match="header must end where its deflate data do"):
        unpack(bytes(swollen))


def test_no_damage_is_loaded() -> None:
    assert outcomes(SAMPLE, DAMAGES, 400) == {"refused": 400}


@pytest.mark.parametrize("forge", [forge_header, forge_streams])
def test_a_forged_file_is_refused_or_another_whole_file(forge: Callable[[bytes, random.Random], bytes]) -> None:
    found = outcomes(SAMPLE, (forge,), 150)
    assert set(found) <= {"refused", "other", "same", "unchanged"}
    assert found["refused"] > 100


def test_outcomes_tell_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    other = pack({**unpack(SAMPLE).tensors, "one": torch.tensor(2.0)}, unpack(SAMPLE).facts)
    assert outcome(other, SAMPLE) == "other"
    assert outcome(SAMPLE, SAMPLE) == "same"
    monkeypatch.setattr("benchmarks.pare_damage.unpack", lambda data: {}["missing"])
    assert outcome(other, SAMPLE) == "crash: KeyError"


def test_no_pickle_is_near() -> None:
    sources = (Path(__file__).parents[2] / "packing").glob("*.py")
    assert not [path.name for path in sources if "import pickle" in path.read_text(encoding="utf-8")]
    assert read_header(SAMPLE)[1] > len(MAGIC)
