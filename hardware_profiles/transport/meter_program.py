"""The program `parefront-meter`: measures for a search that runs on another machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ..errors import ParefrontError
from .artefact_store import DEFAULT_MAX_BYTES, ArtefactStore
from .messages import encode
from .serving import LEASE_SILENCE_S, serve, standard_streams

_DESCRIPTION = """Measures networks for a search that runs on another machine. Without arguments it speaks over stdin
and stdout, as in `ssh board parefront-meter`; with --listen over TCP. It takes ONNX files only."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; gives the exit status.

    Args:
        arguments: Those of the command line by default.
    """
    options = _parser().parse_args(arguments)
    try:
        if options.listen is None:
            serve_one(options.store_bytes)
        else:
            from .listener import listen

            listen(options.listen, options.store_bytes)
    except ParefrontError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def serve_one(store_bytes: int) -> None:
    """Serves the client at stdin and stdout until it is gone.

    Args:
        store_bytes: What the networks of all clients may take on this machine.

    Raises:
        MeasurementError: There is no safe place for networks.
    """
    from ..measuring.meter_worker import Worker
    from .remote_service import RemoteService

    store = ArtefactStore(max_bytes=store_bytes)
    stream = standard_streams()
    worker = Worker(
        resolve=store.path, on_wait=lambda reason: stream.send(encode({"ok": True, "waiting": reason}), None)
    )
    service = RemoteService(worker.handle, store)
    try:
        serve(stream, service.handle, LEASE_SILENCE_S)
    finally:
        service.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="parefront-meter", description=_DESCRIPTION)
    parser.add_argument(
        "--listen", metavar="[HOST]:PORT", help="serve TCP there instead; without HOST only this machine can connect"
    )
    parser.add_argument(
        "--store-bytes",
        type=int,
        default=DEFAULT_MAX_BYTES,
        metavar="N",
        help="what received networks may take on disk; the longest unused ones go (default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
