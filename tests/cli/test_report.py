"""`report`: the page, or its figures one by one."""

import sys
from pathlib import Path

import pytest

from benchmarks.synthetic_run import write_run
from parefront.cli.main import main


def test_the_report_and_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = write_run(tmp_path / "run", 20).root

    def report(*arguments: object) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["parefront", "report", str(directory), *map(str, arguments)])
        with pytest.raises(SystemExit):
            main()
        done = capsys.readouterr()
        return [*done.out.splitlines(), *done.err.splitlines()]

    assert report() == [f"Report: {directory / 'report.html'}"]
    figures, page = tmp_path / "figures", tmp_path / "page.html"
    lines = report("--figures", figures, "--format", "html", "--out", page)
    assert lines[0] == f"Report: {page}"
    assert f"Figure: {figures / 'network.html'}" in lines
    assert all(Path(line.partition(": ")[2]).is_file() for line in lines)
    (line,) = report("--figures", figures, "--format", "gif")
    assert line.startswith("error: ")
    assert "svg" in line
