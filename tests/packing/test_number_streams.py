import numpy as np
import pytest

from parefront.hardware_profiles.errors import PackingError
from parefront.packing.entropy import huffman
from parefront.packing.number_streams import (
    ANS,
    CONSTANT,
    HUFFMAN,
    LONG,
    NumberStream,
    decode_numbers,
    encode_numbers,
    entropy_bits,
    stream_table_bytes,
)

CHANCE = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("numbers", "method"),
    [
        (np.full(1000, 7), CONSTANT),
        (np.array([], np.int64), 1),
        (np.arange(32), 5),  # all equally often
        (CHANCE.integers(0, 2, 1000), 1),
        (CHANCE.binomial(15, 0.05, 1000), ANS),  # a Huffman code of several at once comes less near
        (CHANCE.binomial(255, 0.5, LONG), 9),  # an ANS code saves less than 1 % of so many
        (CHANCE.random(LONG) < 0.01, ANS),  # ... and here more
    ],
)
def test_the_shortest_code_is_taken(numbers: np.ndarray, method: int) -> None:
    stream = encode_numbers(numbers.astype(np.uint8))
    assert stream.method == method
    assert decode_numbers(stream, len(numbers)).tolist() == numbers.tolist()
    assert (stream_table_bytes(stream) > 0) == (method == ANS)


def test_entropy_by_hand() -> None:
    # A half, a quarter and twice an eighth: 1, 2, 3 and 3 bits.
    assert entropy_bits(np.array([4, 0, 2, 1, 1])) == 4 * 1 + 2 * 2 + 3 + 3
    assert entropy_bits(np.array([7])) == entropy_bits(np.array([0])) == 0


@pytest.mark.parametrize("method", HUFFMAN)
def test_several_numbers_share_a_byte_that_is_coded(method: int) -> None:
    numbers = [1, 0, 1, 1, 0, 0, 0, 1]
    width = HUFFMAN[method]
    whole = sum(number << (width * place) for place, number in enumerate(numbers)).to_bytes(width, "little")
    assert decode_numbers(NumberStream(method, huffman(whole)), 8).tolist() == numbers


@pytest.mark.parametrize(
    ("stream", "count", "message"),
    [
        (NumberStream(14, b"x"), 1, "method of a code must be within 0..13, got 14"),
        (NumberStream(CONSTANT, b"xy"), 5, "a constant must be one byte, got 2"),
        (NumberStream(CONSTANT, b""), 0, "no numbers must be coded with method 1, got 0"),
    ],
)
def test_other_methods_are_refused(stream: NumberStream, count: int, message: str) -> None:
    with pytest.raises(PackingError, match=message):
        decode_numbers(stream, count)
