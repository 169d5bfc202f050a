import zlib

import numpy as np
import pytest

from parefront.hardware_profiles.errors import PackingError
from parefront.packing.entropy import ans, huffman, read_ans, read_huffman, table_bytes
from parefront.packing.frequency_table import pack_table, unpack_table

NUMBERS = (np.random.default_rng(0).geometric(0.4, 5000) * 3 % 256).astype(np.uint8)  # with numbers that never occur


def read_by_the_book(data: bytes, count: int) -> list[int]:
    """The decoder that docs/pare.md describes, in whole numbers."""
    frequencies, precision, n_table = unpack_table(data)
    code = data[n_table:] + bytes(-len(data[n_table:]) % 4)
    words = [int.from_bytes(code[place : place + 4], "little") for place in range(0, len(code), 4)]
    begins = np.cumsum([0, *frequencies]) << (24 - precision)
    state, found = 0, []
    while words and state < 1 << 32:
        state = state << 32 | words.pop()
    for _ in range(count):
        part = state % (1 << 24)
        number = int(np.searchsorted(begins, part, side="right")) - 1
        state = (state >> 24) * (int(frequencies[number]) << (24 - precision)) + part - int(begins[number])
        if state < 1 << 32 and words:
            state = state << 32 | words.pop()
        found.append(number)
    assert (words, state) == ([], 0)
    return found


def test_ans_is_what_the_page_describes() -> None:
    data = ans(NUMBERS, np.bincount(NUMBERS))
    assert read_by_the_book(data, len(NUMBERS)) == NUMBERS.tolist()
    assert np.array_equal(read_ans(data, len(NUMBERS)), NUMBERS)


def test_ans_comes_within_a_percent_of_the_entropy() -> None:
    share = np.bincount(NUMBERS) / len(NUMBERS)
    entropy = -float((share[share > 0] * np.log2(share[share > 0])).sum()) * len(NUMBERS) / 8
    data = ans(NUMBERS, np.bincount(NUMBERS))
    assert entropy <= len(data) - table_bytes(data) <= entropy * 1.01


@pytest.mark.parametrize("end", [b"\x01", b"\x00"])
def test_an_ans_code_must_end_where_it_does(end: bytes) -> None:
    data = ans(NUMBERS, np.bincount(NUMBERS))
    with pytest.raises(PackingError, match="the file is damaged"):
        read_ans(data + end, len(NUMBERS))
    with pytest.raises(PackingError, match="must end with its number 4000"):
        read_ans(data, 4000)
    with pytest.raises(PackingError, match="two numbers or more"):
        read_ans(pack_table(np.array([0, 4]), 2), 10)


def test_huffman_codes_are_deflate() -> None:
    data = huffman(NUMBERS.tobytes())
    assert zlib.decompress(data, -15) == NUMBERS.tobytes() == read_huffman(data, len(NUMBERS))
    assert len(data) < len(NUMBERS) / 2  # 2.4 bits of entropy, at most one more of a Huffman code


def test_a_huffman_code_must_give_as_much_as_it_should() -> None:
    data = huffman(bytes(1000))
    for n_bytes in (999, 1001):
        with pytest.raises(PackingError, match=rf"must end after {n_bytes} bytes"):
            read_huffman(data, n_bytes)
    with pytest.raises(PackingError, match="must end after 1000 bytes, got 1000"):
        read_huffman(data + b"more", 1000)
    with pytest.raises(PackingError, match="must be valid deflate data"):
        read_huffman(b"\xff" + data, 1000)
