"""The dashboard as a server: downloads, what a browser may load, and which names it answers to."""

from __future__ import annotations

import logging
import socket
from ipaddress import ip_address

from dash import Dash
from flask import Flask, Response, request, send_file
from werkzeug.serving import LISTEN_QUEUE, BaseWSGIServer, make_server

from ..hardware_profiles.errors import ParefrontError
from .dashboard_trial import DOWNLOAD
from .load import ResultsError
from .run_catalogue import RunCatalogue

HOST, PORT = "127.0.0.1", 8050
OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""What this machine calls itself. Another name in a request is a page elsewhere that points its own name to here."""


def add_downloads(server: Flask, catalogue: RunCatalogue) -> None:
    """Hands out the files of trials, by the name of the run and the number of the trial."""

    @server.get(DOWNLOAD)
    def artefact() -> Response:
        name, number = request.args.get("run", ""), request.args.get("trial", "")
        if not (number.isascii() and number.isdecimal() and len(number) < 10):
            return Response("the trial must be a number", 404, mimetype="text/plain")
        try:
            path = catalogue.artefact(name, int(number))
        except ParefrontError as error:
            return Response(str(error), 404, mimetype="text/plain")
        return send_file(path.resolve(), as_attachment=True, download_name=path.name, max_age=0)


def guard(app: Dash, names: tuple[str, ...] | None) -> None:
    """Lets the page load and run nothing but its own files, and answers to these names only.

    Args:
        app: With all its callbacks, since their scripts are named by what they hold.
        names: Of the host; None for all.
    """
    if names is not None:
        app.server.config["TRUSTED_HOSTS"] = list(names)
    scripts = " ".join(f"'{digest.strip(chr(39))}'" for digest in app.csp_hashes())
    policy = (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )

    def add_policy(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    app.server.after_request(add_policy)


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine can reach what listens there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def names_of(host: str) -> tuple[str, ...] | None:
    """The names under which browsers reach a server; None where they may be any."""
    return OWN_NAMES if is_loopback(host) else None


def listen(app: Dash, host: str, port: int) -> BaseWSGIServer:
    """Takes the port; `serve_forever` of what is returned answers, and `shutdown` ends it.

    Args:
        app: The dashboard.
        host: Address to listen at.
        port: 0 for any that is free; its `port` says which.

    Raises:
        ResultsError: The port cannot be taken.
    """
    # A line for each request would hide what there is to say.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(address)
            taken.listen(LISTEN_QUEUE)
            # Werkzeug, which would print and leave the program where the port is taken, gets a copy of it.
            return make_server(host, taken.getsockname()[1], app.server, threaded=True, fd=taken.fileno())
    except (OSError, OverflowError) as error:
        raise ResultsError(
            f"the dashboard needs a port that is free, but {host}:{port} cannot be taken ({error}): choose another "
            "with --port"
        ) from error
