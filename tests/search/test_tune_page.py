"""The code of docs/tune.md runs as it stands, with fewer trials."""

import re
from pathlib import Path
from typing import Any

import pytest

from parefront.search.workers import Workers

PAGE = (Path(__file__).parents[2] / "docs" / "tune.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

pytestmark = pytest.mark.cluster


def test_the_complete_example(
    two_workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_AIR_NEW_OUTPUT", "0")
    block = BLOCKS[1].replace("N_TRIALS = 30", "N_TRIALS = 3")
    block = block.replace("tune_config=settings)", f"tune_config=settings, run_config=quiet({str(tmp_path)!r}))")
    names: dict[str, Any] = {"__name__": "__main__", "quiet": quiet}
    exec(compile(block, "docs/tune.md", "exec"), names)
    metrics = [result.metrics for result in names["results"]]
    assert len(metrics) == 3
    assert max(each["accuracy"] for each in metrics) > 80  # it has learnt the digits
    # 32·9 weights on 64 positions, 32·64·9 on 64, 1024·64 and 64·10 once: the first trial is uncompressed.
    assert max(each["macs"] for each in metrics) == 288 * 64 + 18_432 * 64 + 65_536 + 640
    assert "MACs" in capsys.readouterr().out


def test_the_ten_lines_say_the_same() -> None:
    assert len(BLOCKS) == 2
    for part in ('Configuration.of(config["configuration"])', "TableSearcher.for_network(", "search_alg=searcher"):
        assert all(part in block for block in BLOCKS)


def quiet(storage: str) -> Any:
    from ray import tune

    return tune.RunConfig(storage_path=storage, verbose=0)
