"""Numbers and texts one after the other in a few bytes, written and read back with every length checked."""

from __future__ import annotations

from ..hardware_profiles.errors import PackingError

MOST_NUMBER_BYTES = 10
"""Of a number below 2 ** 64."""


class FieldWriter:
    """Collects fields."""

    def __init__(self) -> None:
        self._data = bytearray()

    def number(self, value: int) -> None:
        """Writes a number from 0 on: seven bits a byte, the lowest first, the eighth set but in the last (LEB128)."""
        while value > 127:
            self._data.append(value & 127 | 128)
            value >>= 7
        self._data.append(value)

    def signed(self, value: int) -> None:
        """Writes any number: 0, -1, 1, -2, 2 ... as 0, 1, 2, 3, 4 ..."""
        self.number(2 * value if value >= 0 else -2 * value - 1)

    def raw(self, value: bytes) -> None:
        """Writes bytes whose number the reader knows."""
        self._data += value

    def text(self, value: str) -> None:
        """Writes a text: how many bytes, and its UTF-8.

        Raises:
            PackingError: It holds half of a surrogate pair.
        """
        try:
            encoded = value.encode()
        except UnicodeEncodeError as error:
            raise PackingError(f"a name must be Unicode text, got {value!r}: rename it") from error
        self.number(len(encoded))
        self.raw(encoded)

    def bytes(self) -> bytes:
        """All fields so far."""
        return bytes(self._data)


class FieldReader:
    """Reads fields in the order in which they were written.

    Attributes:
        place: How many bytes were read.
    """

    def __init__(self, data: bytes) -> None:
        """Takes the fields.

        Args:
            data: Of a `FieldWriter`.
        """
        self._data = data
        self.place = 0

    @property
    def n_left(self) -> int:
        """Bytes that were not read."""
        return len(self._data) - self.place

    def number(self) -> int:
        """Reads a number from 0 to 2 ** 64 - 1.

        Raises:
            PackingError: The data end, or it is larger.
        """
        value = 0
        for place in range(MOST_NUMBER_BYTES):
            byte = self.raw(1)[0]
            value |= (byte & 127) << (7 * place)
            if byte < 128:
                break
        else:
            value = 1 << 64
        if value >> 64:
            raise PackingError("a number must be below 2 ** 64, got a larger one: the file is damaged")
        return value

    def signed(self) -> int:
        """Reads any number.

        Raises:
            PackingError: As of `number`.
        """
        value = self.number()
        return -(value + 1 >> 1) if value & 1 else value >> 1

    def raw(self, n_bytes: int) -> bytes:
        """Reads bytes.

        Raises:
            PackingError: So many are not left.
        """
        if n_bytes > self.n_left:
            raise PackingError(f"{n_bytes} bytes must follow, got {self.n_left}: the file is damaged")
        start, self.place = self.place, self.place + n_bytes
        return self._data[start : self.place]

    def text(self) -> str:
        """Reads a text.

        Raises:
            PackingError: The data end, or it is not UTF-8.
        """
        encoded = self.raw(self.number())
        try:
            return encoded.decode()
        except UnicodeDecodeError as error:
            raise PackingError(f"a text must be UTF-8, but: {error}; the file is damaged") from error
