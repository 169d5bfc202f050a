import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parefront.hardware_profiles import MeasurementError, ProfileError
from parefront.hardware_profiles.transport.artefact import Artefact
from parefront.hardware_profiles.transport.artefact_store import ArtefactStore
from parefront.hardware_profiles.transport.remote_service import RemoteService

WriteNetwork = Callable[..., Path]


@pytest.fixture
def service(tmp_path: Path) -> RemoteService:
    return RemoteService(lambda request: {"measured": request["type"]}, ArtefactStore(tmp_path / "store"))


def announcement(artefact: Artefact, **changes: Any) -> dict[str, Any]:
    files = [file.to_json() for file in artefact.files]
    return {"type": "upload", "artefact": artefact.name, "format": ".onnx", "files": files, **changes}


def test_it_says_who_it_is(service: RemoteService) -> None:
    answer = service.handle({"type": "hello"})
    assert answer["ok"] is True
    assert answer["formats"] == [".onnx"]


def test_a_network_can_be_sent(service: RemoteService, write_network: WriteNetwork) -> None:
    artefact = Artefact.read(write_network(data_name="weights.bin"))
    artefact.upload(service.handle)
    assert service.handle({"type": "has", "artefact": artefact.name}) == {"ok": True, "is_there": True}


def test_other_requests_go_to_the_worker(service: RemoteService) -> None:
    assert service.handle({"type": "begin", "runtime": "onnxruntime"}) == {"measured": "begin"}


@pytest.mark.parametrize("runtime", ["torch", "torch-compile", "torch-cuda"])
def test_runtimes_that_load_pickles_are_refused(service: RemoteService, runtime: str) -> None:
    with pytest.raises(MeasurementError, match=r"\.onnx only \(never pickles\), got '.pt2'"):
        service.handle({"type": "begin", "runtime": runtime})


def test_an_unknown_runtime_is_refused(service: RemoteService) -> None:
    with pytest.raises(ProfileError, match="unknown runtime 'tflite'"):
        service.handle({"type": "profile", "runtime": "tflite"})


def test_other_formats_are_refused(service: RemoteService, write_network: WriteNetwork) -> None:
    with pytest.raises(MeasurementError, match=r"\.onnx only"):
        service.handle(announcement(Artefact.read(write_network()), format=".pt2"))


def test_a_piece_needs_an_announcement_and_base64(service: RemoteService, write_network: WriteNetwork) -> None:
    piece = {"type": "chunk", "file": 0, "offset": 0, "data": base64.b64encode(b"x").decode()}
    for request in (piece, {"type": "commit"}):
        with pytest.raises(MeasurementError, match="must follow the announcement"):
            service.handle(request)
    service.handle(announcement(Artefact.read(write_network())))
    with pytest.raises(MeasurementError, match="must be in base64"):
        service.handle({**piece, "data": "not base64!"})
    service.close()


def test_an_upload_that_fails_leaves_nothing(
    service: RemoteService, write_network: WriteNetwork, tmp_path: Path
) -> None:
    service.handle(announcement(Artefact.read(write_network())))
    with pytest.raises(MeasurementError, match="must be whole, got 0 of"):
        service.handle({"type": "commit"})
    service.handle(announcement(Artefact.read(write_network())))
    service.handle(announcement(Artefact.read(write_network(width=5))))  # instead of the one before
    assert len(list((tmp_path / "store").glob("upload-*"))) == 1
    service.close()
    assert list((tmp_path / "store").glob("upload-*")) == []
