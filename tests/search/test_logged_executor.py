import logging
from collections.abc import Callable

import pytest

from parefront.search import Trial
from parefront.search.executor import InProcessExecutor, Job, Stage
from parefront.search.logged_executor import LoggedExecutor, log_promotion, log_trial
from parefront.search.trial import Fidelity
from parefront.spaces import Configuration

CONFIGURATION = Configuration.of({"prune/a": 8})


class Bench:
    def structure(self, configuration: Configuration, name: str) -> str:
        return "an evaluation"

    def full(self, configuration: Configuration, name: str) -> None:
        raise ValueError("the loss is NaN")


def facts(record: logging.LogRecord) -> tuple[str, ...]:
    return tuple(getattr(record, name) for name in ("event", "job", "stage", "configuration"))


def test_each_stage_has_its_beginning_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    executor = LoggedExecutor(InProcessExecutor(Bench()))  # type: ignore[arg-type]
    assert executor.n_slots == 1
    with caplog.at_level(logging.DEBUG, "parefront"):
        for stage in (Stage.STRUCTURE, Stage.FULL):
            executor.submit(Job(4, stage, CONFIGURATION, "trial-4"))
            executor.next_done()
    key = CONFIGURATION.key[:12]
    assert [facts(record) for record in caplog.records] == [
        ("stage began", "trial-4", "structure", key),
        ("stage ended", "trial-4", "structure", key),
        ("stage began", "trial-4", "full", key),
        ("stage failed", "trial-4", "full", key),
    ]
    failed = caplog.records[-1]
    assert failed.reason == "ValueError: the loss is NaN"  # type: ignore[attr-defined]
    assert "Traceback" in failed.trace  # type: ignore[attr-defined]
    assert failed.seconds >= 0  # type: ignore[attr-defined]


def test_trials_and_promotions_are_noted_by_number(
    caplog: pytest.LogCaptureFixture, make_trial: Callable[..., Trial]
) -> None:
    failed = make_trial(7, {"prune/a": 8}, parent=3)
    with caplog.at_level(logging.DEBUG, "parefront"):
        log_promotion(failed, Fidelity.FULL)
        log_trial(failed)
    promoted, ended = (vars(record) for record in caplog.records)
    key = CONFIGURATION.key[:12]
    expected = {"event": "promoted", "trial": 7, "configuration": key, "stage": "full"}
    assert promoted.items() >= expected.items()
    expected = {"event": "trial ended", "trial": 7, "configuration": key, "stage": "short", "state": "failed"}
    assert ended.items() >= {**expected, "parent": 3, "reason": failed.reason}.items()
