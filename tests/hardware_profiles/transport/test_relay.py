import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parefront.hardware_profiles.transport.messages import decode, encode
from parefront.hardware_profiles.transport.relay import Lost, Relay

TIMEOUT_S = 60.0


@contextmanager
def relay(code: str) -> Iterator[Relay]:
    opened = Relay((sys.executable, "-c", code))
    try:
        yield opened
    finally:
        opened.close()


def test_a_line_is_answered_by_the_next_one() -> None:
    with relay("import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)") as opened:
        assert opened.ask(b"one\n", TIMEOUT_S) == b"ONE"
        assert opened.ask(b"two\n", TIMEOUT_S) == b"TWO"


def test_without_a_line_what_is_still_to_come_is_waited_for() -> None:
    with relay("input(); print('waiting'); print('done', flush=True); input()") as opened:
        assert opened.ask(b"go\n", TIMEOUT_S) == b"waiting"
        assert opened.ask(b"", TIMEOUT_S) == b"done"
        assert opened.ask(b"", 0.05) is None


def test_a_process_that_ends_is_told_with_how_it_ended() -> None:
    with relay("import sys; input(); print('no memory', file=sys.stderr); sys.exit(3)") as opened:
        lost = opened.ask(b"go\n", TIMEOUT_S)
        assert lost == Lost("it ended with status 3 saying 'no memory'")
        assert pickle.loads(pickle.dumps(lost)) == lost


def test_the_measuring_process_takes_networks_by_content_and_ends_with_the_relay(private_folder: Path) -> None:
    opened = Relay()
    for request, expected in (
        ({"type": "hello"}, {"formats": [".onnx"]}),
        ({"type": "has", "artefact": f"sha256:{'0' * 64}"}, {"is_there": False}),
    ):
        answer = opened.ask(encode(request), TIMEOUT_S)
        assert isinstance(answer, bytes)
        assert expected.items() <= decode(answer).items()
    process = opened._connection._process
    opened.close()
    assert process.poll() is not None
