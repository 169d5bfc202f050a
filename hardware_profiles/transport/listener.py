"""Waits for clients on a TCP port and gives each a measuring process of its own.

The processes take turns by the lease of the cores. A runtime that crashes on one client's network takes nothing else
with it, and the waiting itself never disturbs a measurement.
"""

from __future__ import annotations

import contextlib
import ipaddress
import select
import signal
import socket
import subprocess
import sys
from typing import NoReturn

from ..errors import MeasurementError
from .connection import keep_alive, split_address
from .messages import encode, failure

MAX_CLIENTS = 16
_REAP_S = 1.0


def listen(address: str, store_bytes: int) -> NoReturn:
    """Serves clients until the process is ended.

    Args:
        address: ``host:port``, ``:port`` for this machine only; port 0 takes a free one, which is then printed.
        store_bytes: What the networks of all clients may take on this machine.

    Raises:
        MeasurementError: It is no address, or cannot be listened on.
        KeyboardInterrupt: The process was told to end.
    """
    host, port = split_address(address)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        server = socket.create_server((host, port), family=family)
    except OSError as error:
        raise MeasurementError(
            f"--listen must name an address of this machine and a free port, got {address!r} ({error.strerror}): "
            "choose another"
        ) from error
    if not _is_loopback(host):
        print(
            f"warning: whoever can reach {host} may now run networks here and see their times: prefer ssh, or close "
            "the port to all but the searching machine",
            file=sys.stderr,
        )
    print(f"listening on {_text(server)}", file=sys.stderr, flush=True)
    _serve(server, (sys.executable, "-m", f"{__package__}.meter_program", "--store-bytes", str(store_bytes)))


def _serve(server: socket.socket, command: tuple[str, ...]) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Ends the clients' processes, too.
    processes: list[subprocess.Popen[bytes]] = []
    try:
        while True:
            ready, _, _ = select.select([server], [], [], _REAP_S)
            processes = [process for process in processes if process.poll() is None]
            if ready:
                _accept(server, processes, command)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _accept(server: socket.socket, processes: list[subprocess.Popen[bytes]], command: tuple[str, ...]) -> None:
    """Gives the next client a process, which is added to the others."""
    try:
        client, _ = server.accept()
    except OSError:
        return  # The client went away while it waited.
    with client:
        keep_alive(client)
        if len(processes) < MAX_CLIENTS:
            processes.append(subprocess.Popen(command, stdin=client.fileno(), stdout=client.fileno()))
        else:
            with contextlib.suppress(OSError):
                client.sendall(encode(failure(f"at most {MAX_CLIENTS} clients may be connected: try again later")))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _text(server: socket.socket) -> str:
    host, port = server.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
