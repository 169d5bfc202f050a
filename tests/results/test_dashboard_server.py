import socket
from pathlib import Path

import pytest
from dash import Dash

from parefront.results import ResultsError
from parefront.results.dashboard import build_dashboard
from parefront.results.dashboard_server import OWN_NAMES, is_loopback, listen, names_of


@pytest.fixture
def app(runs: Path) -> Dash:
    return build_dashboard(runs, names=OWN_NAMES)


def test_files_are_handed_out_by_run_and_number(app: Dash) -> None:
    with app.server.test_client().get("/artefact?run=a&trial=6") as answer:
        assert answer.status_code == 200
        assert answer.data == bytes(62_500)
        assert answer.headers["Content-Disposition"] == "attachment; filename=6.onnx"


@pytest.mark.parametrize(
    "path",
    [
        "/artefact",
        "/artefact?run=a&trial=../../run.json",
        "/artefact?run=a&trial=5",
        "/artefact?run=..&trial=6",
        "/artefact?run=/etc&trial=0",
        "/artefact?run=%2e%2e%2fruns%2fa&trial=6",
        "/artefact/../../etc/passwd",
        "/assets/../run.json",
        "/assets/..%2f..%2fa%2frun.json",
        "/_dash-component-suites/dash/../../../../etc/passwd",
        "/a/run.json",
    ],
)
def test_no_other_file_can_be_reached(app: Dash, path: str) -> None:
    answer = app.server.test_client().get(path)
    is_the_page = b"_dash-config" in answer.data  # Dash answers an unknown path with its page, which holds no data
    assert is_the_page or answer.status_code in (400, 404, 500)
    assert b"root:" not in answer.data
    assert b"fingerprint" not in answer.data


def test_a_page_may_load_only_what_comes_from_here(app: Dash) -> None:
    answer = app.server.test_client().get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "http" not in policy
    assert b"https://" not in answer.data


def test_another_name_is_not_answered(app: Dash) -> None:
    client = app.server.test_client()
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/", headers={"Host": "localhost:8050"}).status_code == 200


def test_only_this_machine_is_loopback() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost")] == [True] * 3
    assert [is_loopback(host) for host in ("0.0.0.0", "192.168.1.2", "::", "example.com")] == [False] * 4
    assert names_of("0.0.0.0") is None


def test_a_port_that_is_taken_is_one_line(app: Dash) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ResultsError, match=r"cannot be taken .* choose another with --port"):
            listen(app, "127.0.0.1", other.getsockname()[1])
    server = listen(app, "127.0.0.1", 0)
    assert server.port > 0
    server.server_close()
