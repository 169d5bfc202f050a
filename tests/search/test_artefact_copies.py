import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import fsspec
import pytest

from parefront.hardware_profiles import SearchError
from parefront.search import Trial
from parefront.search.artefact_copies import FILES, VARIABLE, ArtefactCopies, fetch

MEMORY = "memory://shared/digits"
MODEL, WEIGHTS = b"a model", b"its weights in torch"


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "artefacts"
    folder.mkdir()
    (folder / "trial-2.onnx").write_bytes(MODEL)
    (folder / "trial-2.pt").write_bytes(WEIGHTS)
    return folder


@pytest.fixture
def trial(make_trial: Callable[..., Trial]) -> Trial:
    return replace(make_trial(2, {"bits/a": 8}, 1.0), artefact="trial-2.onnx", details={"batch": 1})


@pytest.mark.parametrize("place", [MEMORY, "file://{}", "{}"])
def test_a_copy_is_named_by_what_it_holds_and_comes_back(
    memory: Any, tmp_path: Path, folder: Path, trial: Trial, place: str
) -> None:
    place = place.format(tmp_path / "shared")
    copies = ArtefactCopies(place, folder)
    named = copies.named(trial)
    assert named.details["batch"] == 1
    assert named.details[FILES] == {
        "trial-2.onnx": sha256(MODEL).hexdigest(),
        "trial-2.pt": sha256(WEIGHTS).hexdigest(),
    }
    copies.add(named)
    system, root = fsspec.url_to_fs(place)
    assert system.cat_file(f"{root}/{sha256(MODEL).hexdigest()}.onnx") == MODEL
    elsewhere = tmp_path / "elsewhere"
    fetch(copies.shown, named, elsewhere)
    assert {path.name: path.read_bytes() for path in elsewhere.iterdir()} == {
        "trial-2.onnx": MODEL,
        "trial-2.pt": WEIGHTS,
    }


def test_a_trial_without_a_file_has_no_copy(memory: Any, folder: Path, trial: Trial) -> None:
    copies = ArtefactCopies(MEMORY, folder)
    promoted = replace(trial, artefact=None, details={FILES: {"trial-1.onnx": "of its parent"}})
    assert FILES not in copies.named(promoted).details
    copies.add(copies.named(promoted))


def test_what_cannot_be_copied_is_tried_again(
    memory: Any,
    folder: Path,
    trial: Trial,
    make_trial: Callable[..., Trial],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    copies = ArtefactCopies(MEMORY, folder)
    named, put = copies.named(trial), type(memory).put_file

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("no route to the shared place")

    monkeypatch.setattr(type(memory), "put_file", refuse)
    with caplog.at_level(logging.WARNING, "parefront"):
        copies.add(named)
    (message,) = caplog.messages
    assert "trial-2.onnx could not be copied to memory://shared/digits (ConnectionError: no route" in message
    assert message.endswith("files that wait for the next attempt: 2")
    monkeypatch.setattr(type(memory), "put_file", put)
    copies.add(make_trial(3, {"bits/b": 8}))
    assert memory.cat_file(f"/shared/digits/{sha256(MODEL).hexdigest()}.onnx") == MODEL


def test_a_search_that_goes_on_copies_what_is_missing_or_half_there(memory: Any, folder: Path, trial: Trial) -> None:
    first = ArtefactCopies(MEMORY, folder)
    named = first.named(trial)
    memory.pipe_file(f"/shared/digits/{sha256(MODEL).hexdigest()}.onnx", MODEL[:3])
    ArtefactCopies(MEMORY, folder).add_missing([named])
    assert memory.cat_file(f"/shared/digits/{sha256(MODEL).hexdigest()}.onnx") == MODEL
    assert memory.cat_file(f"/shared/digits/{sha256(WEIGHTS).hexdigest()}.pt") == WEIGHTS


def test_a_file_that_cannot_be_read_is_named_and_stays_without_a_copy(
    memory: Any, folder: Path, trial: Trial, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened = Path.open

    def refuse(path: Path, *arguments: Any) -> Any:
        if path.suffix == ".onnx":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments)

    monkeypatch.setattr(Path, "open", refuse)
    with caplog.at_level(logging.WARNING, "parefront"):
        named = ArtefactCopies(MEMORY, folder).named(trial)
    assert set(named.details[FILES]) == {"trial-2.pt"}
    assert "trial-2.onnx cannot be read (Permission denied), so that it has no copy" in caplog.text


def test_a_copy_that_holds_something_else_is_refused(memory: Any, tmp_path: Path, folder: Path, trial: Trial) -> None:
    copies = ArtefactCopies(MEMORY, folder)
    named = copies.named(trial)
    copies.add(named)
    memory.pipe_file(f"/shared/digits/{sha256(MODEL).hexdigest()}.onnx", b"no model")
    with pytest.raises(SearchError, match=r"trial-2.onnx of trial 2 .* it does not hold what was copied there"):
        fetch(MEMORY, named, tmp_path / "elsewhere")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_record_from_elsewhere_does_not_lead_out_of_the_directory(memory: Any, tmp_path: Path, trial: Trial) -> None:
    memory.pipe_file("/shared/digits/abc.onnx", b"something")
    fetch(MEMORY, replace(trial, details={FILES: {"../outside.onnx": "abc", "inside.onnx": "../abc"}}), tmp_path)
    assert not list(tmp_path.parent.glob("*.onnx"))
    assert not list(tmp_path.iterdir())


def test_the_place_may_have_another_name_elsewhere(
    memory: Any, tmp_path: Path, folder: Path, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = ArtefactCopies(MEMORY, folder)
    named = copies.named(trial)
    copies.add(named)
    with pytest.raises(SearchError, match=f"cannot be fetched .*; {VARIABLE} names the place"):
        fetch(str(tmp_path / "not here"), named, tmp_path / "elsewhere")
    monkeypatch.setenv(VARIABLE, MEMORY)
    fetch(str(tmp_path / "not here"), named, tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "trial-2.onnx").read_bytes() == MODEL


@pytest.mark.parametrize("place", ["nowhere://bucket/x", "{}/a file/below"])
def test_a_place_that_cannot_be_reached_is_said_at_once(tmp_path: Path, place: str) -> None:
    (tmp_path / "a file").touch()
    with pytest.raises(SearchError, match="--artefacts must be a"):
        ArtefactCopies(place.format(tmp_path), tmp_path)


def test_a_password_is_not_shown() -> None:
    with pytest.raises(SearchError) as error:
        ArtefactCopies("nowhere://me:s3cr3t@host/x", Path())
    assert "s3cr3t" not in str(error.value)
