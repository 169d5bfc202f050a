import os
import socket
import time
from collections.abc import Iterator

import pytest

from parefront.hardware_profiles.transport import line_stream
from parefront.hardware_profiles.transport.line_stream import ConnectionLostError, LineStream, NoAnswerError
from parefront.hardware_profiles.transport.messages import MessageError


@pytest.fixture
def pair() -> Iterator[tuple[LineStream, socket.socket]]:
    """A stream, and the other end of its line."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield LineStream(ours.fileno(), ours.fileno()), theirs


def soon() -> float:
    return time.monotonic() + 0.05


def test_lines_are_told_apart_however_they_arrive(pair: tuple[LineStream, socket.socket]) -> None:
    stream, other = pair
    other.sendall(b"one\ntwo\nth")
    assert [stream.receive(soon()), stream.receive(soon())] == [b"one", b"two"]
    with pytest.raises(NoAnswerError):
        stream.receive(soon())
    other.sendall(b"ree\n\n")
    assert [stream.receive(soon()), stream.receive(soon())] == [b"three", b""]


def test_a_closed_end_is_a_lost_connection_even_within_a_line(pair: tuple[LineStream, socket.socket]) -> None:
    stream, other = pair
    other.sendall(b"hal")
    other.close()
    with pytest.raises(ConnectionLostError, match="closed by the other side"):
        stream.receive(None)
    with pytest.raises(ConnectionLostError, match="Broken pipe"):
        stream.send(b"x\n", None)


@pytest.mark.parametrize("n_bytes", [11, 25, 500])
def test_a_line_that_is_too_long_is_skipped(
    pair: tuple[LineStream, socket.socket], monkeypatch: pytest.MonkeyPatch, n_bytes: int
) -> None:
    monkeypatch.setattr(line_stream, "MAX_LINE_BYTES", 10)
    monkeypatch.setattr(line_stream, "_READ_BYTES", 7)
    stream, other = pair
    other.sendall(b"x" * n_bytes + b"\n" + b"y" * 10 + b"\n")
    with pytest.raises(MessageError, match=f"at most 10 bytes, got {n_bytes}"):
        stream.receive(soon())
    assert stream.receive(soon()) == b"y" * 10


def test_long_lines_are_sent_whole_and_a_reader_that_stalls_is_given_up() -> None:
    source, sink = os.pipe()
    line = b"x" * 500_000 + b"\n"  # more than a pipe holds
    with os.fdopen(source, "rb"), os.fdopen(sink, "wb"):
        with pytest.raises(NoAnswerError):
            LineStream(source, sink).send(line, soon())
        n_sent = len(os.read(source, 1 << 20))
        assert 0 < n_sent < len(line)


def test_descriptors_above_1023_work() -> None:
    # select(), unlike poll(), cannot wait for them.
    ours, theirs = socket.socketpair()
    with ours, theirs:
        high = os.dup2(ours.fileno(), 1500)
        try:
            theirs.sendall(b"a\n")
            assert LineStream(high, high).receive(soon()) == b"a"
        finally:
            os.close(high)
