from pathlib import Path
from typing import Any

import plotly.io
import pytest

from parefront.results import ResultsError, Run
from parefront.results.figure_files import write_figures


def test_pages_share_one_copy_of_plotly(run: Run, tmp_path: Path) -> None:
    paths = write_figures(run, tmp_path / "figures", "html")
    assert {"front.html", "network.html", "time.html"} <= {path.name for path in paths}
    assert "sensitivity.html" not in {path.name for path in paths}  # nothing to show
    assert sorted(path.name for path in (tmp_path / "figures").iterdir() if path.suffix == ".js") == ["plotly.min.js"]
    assert all(path.stat().st_size < 100_000 for path in paths)


def test_pictures_are_asked_for_at_once(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(plotly.io, "write_images", lambda *args, **named: asked.append({"args": args, **named}))
    paths = write_figures(run, tmp_path, "svg")
    (call,) = asked
    assert call["args"][1] == paths
    assert call["height"][0] == 560  # of the front
    assert call["args"][0][0].layout.paper_bgcolor == "white"


@pytest.mark.parametrize("problem", [ValueError("pip install kaleido"), RuntimeError("no Chrome")])
def test_without_a_browser_the_remedy_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def fail(*args: object, **named: object) -> None:
        raise problem

    monkeypatch.setattr(plotly.io, "write_images", fail)
    with pytest.raises(ResultsError, match=r"png figures need kaleido and Chrome or Chromium.*--format html"):
        write_figures(run, tmp_path, "png")


def test_an_unknown_format_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="pgn"):
        write_figures(run, tmp_path, "pgn")
