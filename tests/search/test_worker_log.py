import logging
import pickle
from pathlib import Path

from parefront.search.run_log import read_log, written_log
from parefront.search.worker_log import MAX_ENTRIES, listened

LOGGER = logging.getLogger("parefront.evaluators.any")


class CannotTravel:
    def __str__(self) -> str:
        return "a socket"

    def __reduce__(self) -> str:
        raise TypeError("cannot pickle a socket")


def test_what_a_worker_logs_comes_with_its_result(tmp_path: Path) -> None:
    def work() -> int:
        LOGGER.warning("%s was closed", CannotTravel(), extra={"event": "device lost"})
        return 42

    logger = logging.getLogger("parefront")
    before = (logger.level, logger.propagate, list(logger.handlers))
    told = pickle.loads(pickle.dumps(listened(work)))
    assert (logger.level, logger.propagate, logger.handlers) == before
    with written_log(tmp_path / "log.jsonl"):
        assert told.repeated() == 42
    (entry,) = read_log(tmp_path / "log.jsonl")
    assert entry["message"] == "a socket was closed"
    assert (entry["event"], entry["level"], entry["logger"]) == ("device lost", "WARNING", "parefront.evaluators.any")
    assert entry["worker"].rpartition(":")[2].isdecimal()  # machine:process


def test_a_loop_does_not_fill_the_memory() -> None:
    told = listened(lambda: [LOGGER.info("again") for _ in range(MAX_ENTRIES + 5)])
    assert len(told.entries) == MAX_ENTRIES
