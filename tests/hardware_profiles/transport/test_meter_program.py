import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from parefront.hardware_profiles.transport.meter_program import main

PROGRAM = (sys.executable, "-m", "parefront.hardware_profiles.transport.meter_program")


def test_help_loads_nothing_heavy() -> None:
    heavy = ("torch", "onnx", "onnxruntime", "numpy.testing", "optuna", "ray")
    program = "parefront.hardware_profiles.transport.meter_program"
    code = f"import sys, {program}; print([m for m in {heavy!r} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_help_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for word in ("ssh board parefront-meter", "--listen", "--store-bytes", "ONNX files only"):
        assert word in said


def test_it_is_installed_as_a_program() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))
    module, function = project["project"]["scripts"]["parefront-meter"].split(":")
    assert (module, function) == (main.__module__, "main")


@pytest.mark.parametrize("address", ["7070x", "board", "192.0.2.1:7070", "127.0.0.1:99999"])
def test_an_address_that_cannot_be_listened_on_is_one_line(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--listen", address]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("error: ")
    assert address in said[-1]


def test_a_folder_that_is_not_safe_is_one_line(private_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran = subprocess.run(PROGRAM, input=b"", capture_output=True, check=False, timeout=60)
    assert ran.returncode == 0  # nobody asked anything
    (folder,) = private_folder.glob("parefront-artefacts-*")
    folder.chmod(0o777)
    ran = subprocess.run(PROGRAM, input=b"", capture_output=True, check=False, timeout=60)
    assert ran.returncode == 1
    assert ran.stderr.decode().startswith("error: networks must be stored in a folder of this user's alone")


def test_one_process_refuses_what_is_wrong_and_goes_on(private_folder: Path) -> None:
    begin = {"type": "begin", "runtime": "onnxruntime", "threads": 1, "batch_size": 1, "warmup_ms": 1.0}
    begin |= {"is_fresh": False, "lease_timeout_s": 5.0}
    secret = private_folder / "secret.onnx"
    secret.write_bytes(b"secret")
    requests: list[dict[str, Any]] = [
        {**begin, "paths": [str(secret)]},
        {**begin, "paths": ["sha256:" + "0" * 64]},
        {**begin, "paths": [str(secret)], "runtime": "torch"},
        {"type": "profile", "protocol": 1},
        {"type": "hello"},
    ]
    lines = [json.dumps({"protocol": 2, **request}) for request in requests]
    lines.insert(0, lines[0][:-20])
    ran = subprocess.run(PROGRAM, input="\n".join(lines) + "\n", capture_output=True, text=True, check=True, timeout=60)
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    expected = [
        "must be one line in JSON",
        "must name networks by their digest",
        "must be uploaded before it is measured",
        "never pickles",
        "must be of protocol 2, got '1'",
    ]
    assert [answer["ok"] for answer in answers] == [False] * 5 + [True]
    for answer, rule in zip(answers, expected, strict=False):
        assert rule in answer["error"]
        assert "secret" not in answer["error"].replace(str(secret), "")
