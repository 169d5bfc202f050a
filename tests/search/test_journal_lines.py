import gc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from parefront.hardware_profiles import SearchError
from parefront.search.journal import Journal, read_trials
from parefront.search.journal_lines import JournalReader, read_journal
from parefront.search.study_form import StudyForm
from parefront.search.trial import Trial
from parefront.spaces import SearchSpace

MakeTrial = Callable[..., Trial]


@pytest.fixture
def trials(make_trial: MakeTrial) -> list[Trial]:
    tricky = 'a "user_attrs":{"parefront:trial":{"number":7 in a reason, in Grün'
    return [
        make_trial(0, {}, 0.0, half_width=0.0),
        make_trial(1, {"bits/a": 8, "rank/b": "spatial:8"}, 1.25, 0.123456789012345, 500, half_width=0.5),
        replace(make_trial(2, {"prune/a": 16}), reason=tricky),
    ]


@pytest.fixture
def journal(tmp_path: Path, small_space: SearchSpace, trials: list[Trial]) -> Path:
    store = Journal(tmp_path / "journal.log")
    store.open(StudyForm(small_space))
    for trial in trials:
        store.add(trial)
    return tmp_path / "journal.log"


def test_it_reads_what_optuna_reads(journal: Path, trials: list[Trial]) -> None:
    had_collector = gc.isenabled()
    found = read_journal(journal)
    assert list(found.trials) == trials == read_trials(journal)
    assert found.problems == ()
    assert gc.isenabled() == had_collector


def test_half_a_line_at_the_end_is_skipped_and_named(journal: Path, trials: list[Trial]) -> None:
    content = journal.read_bytes()
    last = content.splitlines(keepends=True)[-1]
    # However much of it was written before the program was killed.
    for n_missing in (1, 20, 1000, len(last) - 1):
        journal.write_bytes(content[:-n_missing])
        found = read_journal(journal)
        assert list(found.trials) == trials[:2]
        assert found.problems == (
            "line 4 of journal.log is half-written, by a search that runs or was killed: skipped",
        )
    assert journal.read_bytes() == content[: -(len(last) - 1)]  # nothing is repaired by looking


def test_a_damaged_line_costs_only_its_trial(journal: Path, trials: list[Trial]) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    middle = lines[2]
    for damaged in (b"\x00" * 40 + b"\n", b"\n", middle[:-400] + b"\n", middle.replace(b'"fidelity"', b'"fidel"')):
        journal.write_bytes(b"".join([*lines[:2], damaged, *lines[3:]]))
        found = read_journal(journal)
        assert list(found.trials) == [trials[0], trials[2]], damaged
        assert found.problems == ("line 3 of journal.log is damaged: skipped",)


def test_a_trial_that_is_there_twice_counts_once(journal: Path, trials: list[Trial]) -> None:
    with journal.open("ab") as file:
        file.write(journal.read_bytes().splitlines(keepends=True)[-1])
    found = read_journal(journal)
    assert list(found.trials) == trials
    assert found.problems == ("line 5 of journal.log holds trial 2 again: the first one counts",)


def test_a_study_that_was_begun_anew_holds_the_new_trials_only(
    tmp_path: Path, small_space: SearchSpace, trials: list[Trial]
) -> None:
    store = Journal(tmp_path / "journal.log")
    store.open(StudyForm(small_space))
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal.log"))
    optuna.delete_study(study_name="parefront", storage=optuna.storages.JournalStorage(backend))
    assert read_journal(tmp_path / "journal.log").trials == ()
    store.open(StudyForm(small_space))
    store.add(trials[0])
    assert read_journal(tmp_path / "journal.log").trials == (trials[0],)


def test_what_only_optuna_writes_is_read_by_optuna(journal: Path, trials: list[Trial]) -> None:
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    study = optuna.load_study(study_name="parefront", storage=optuna.storages.JournalStorage(backend))
    study.set_user_attr("note", "looked at by hand")
    assert list(read_journal(journal).trials) == trials


@pytest.mark.parametrize("content", [b"some text\nand more\n", b"\x89PNG\r\n\x1a\n", b'{"trials": 3}'])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.log"
    path.write_bytes(content)
    with pytest.raises(SearchError, match=r"journal\.log must be the journal of a run, but no line of it can be read"):
        read_journal(path)


def test_a_folder_in_its_place_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="must be readable, got an error"):
        read_journal(tmp_path)


def test_an_empty_journal_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    path.touch()
    assert read_journal(path).trials == ()


def test_of_a_journal_that_grew_only_what_was_added_is_read(journal: Path, trials: list[Trial]) -> None:
    content = journal.read_bytes()
    last = content.splitlines(keepends=True)[-1]
    journal.write_bytes(content[: -len(last)])
    reader = JournalReader(journal)
    first = reader.read()
    assert list(first.trials) == trials[:2]
    journal.write_bytes(content[:-7])
    half = reader.read()
    assert list(half.trials) == trials[:2]
    assert "line 4 of journal.log is half-written" in half.problems[0]
    journal.write_bytes(content)
    whole = reader.read()
    assert list(whole.trials) == trials
    assert whole.problems == ()
    assert whole.trials[0] is first.trials[0]


def test_a_journal_that_was_replaced_is_read_anew(journal: Path, trials: list[Trial]) -> None:
    reader = JournalReader(journal)
    assert list(reader.read().trials) == trials
    lines = journal.read_bytes().splitlines(keepends=True)
    for content in (lines[:2], [lines[0], *lines[2:], lines[1]], lines):
        journal.write_bytes(b"".join(content))
        assert reader.read() == read_journal(journal)
