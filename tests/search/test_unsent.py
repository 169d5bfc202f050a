import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parefront.hardware_profiles import SearchError
from parefront.search import Trial
from parefront.search.unsent import Unsent, read_unsent

MakeTrial = Callable[..., Trial]


@pytest.fixture
def trials(make_trial: MakeTrial) -> list[Trial]:
    return [make_trial(0, {}, 0.0), make_trial(1, {"bits/a": 8}, 1.5), make_trial(2, {"prune/a": 16})]


def test_what_was_kept_is_there_until_it_has_arrived(tmp_path: Path, trials: list[Trial]) -> None:
    path = tmp_path / "unsent.jsonl"
    unsent = Unsent(path)
    for trial in trials:
        unsent.append(trial)
    assert Unsent(path).trials == unsent.trials == trials
    unsent.clear()
    assert not path.exists()
    assert Unsent(path).trials == unsent.trials == []


def test_half_a_line_of_a_killed_process_takes_nothing_along(tmp_path: Path, trials: list[Trial]) -> None:
    path = tmp_path / "unsent.jsonl"
    Unsent(path).append(trials[0])
    with path.open("ab") as file:
        file.write(b'{"number": 1, "confi')
    unsent = Unsent(path)
    assert unsent.trials == trials[:1]
    unsent.append(trials[1])
    assert read_unsent(path) == trials[:2]


def test_a_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "unsent.jsonl"
    unsent = Unsent(path)
    unsent.append(trials[0])
    before, write = path.read_bytes(), os.write

    def write_a_part(file: int, content: bytes) -> int:
        if len(content) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, content[:-10])

    def some(*arguments: Any) -> int:
        return write_a_part(*arguments)

    monkeypatch.setattr(os, "write", some)
    with pytest.raises(OSError, match="No space left"):
        unsent.append(trials[1])
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert unsent.trials == trials[:1]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match=r"not in the database yet, but cannot be read \(Is a directory\)"):
        read_unsent(tmp_path)
