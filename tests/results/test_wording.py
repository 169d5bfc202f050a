import pytest

from parefront.evaluators.evaluator import Score
from parefront.results.wording import word_bytes, word_ratio, word_score, word_seconds


def test_a_score_has_its_interval_where_it_was_measured() -> None:
    assert word_score(Score("accuracy", 91.84, "%", True, 91.0, 92.5), 1) == "91.8 [91.0, 92.5]"
    assert word_score(Score("accuracy", 91.84, "%", True), 2) == "91.84"


def test_ratios() -> None:
    assert word_ratio(14.24) == "14.2x"


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (48_200, "48.2 kB"), (3_100_000, "3.1 MB"), (5e12, "5000.0 GB")],
)
def test_sizes_are_decimal(size_bytes: float, words: str) -> None:
    assert word_bytes(size_bytes) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(8.44, "8.4 s"), (185, "3 min 05 s"), (7620, "2 h 07 min"), (3599.7, "1 h 00 min")]
)
def test_durations(seconds: float, words: str) -> None:
    assert word_seconds(seconds) == words
