import json
from pathlib import Path

from parefront.results.dashboard_address import Selection
from parefront.results.dashboard_listing import listing
from parefront.results.run_catalogue import RunCatalogue


def test_runs_and_sweeps_are_listed_with_what_is_wrong(runs: Path) -> None:
    (runs / "c").mkdir()
    (runs / "c" / "run.json").write_text('{"schema": 99, "version": "9.9"}')
    (runs / "s").mkdir()
    search = {"name": "t.h.s0", "task": "t", "hardware": "h", "setting": "", "seed": 0}
    (runs / "s" / "sweep.json").write_text(json.dumps({"schema": 1, "plan": {"searches": [search]}}))
    (runs / "z").mkdir()
    (runs / "z" / "sweep.json").write_text('{"schema": 7}')
    html = listing(runs, (known := RunCatalogue(runs)).lines(), known.sweeps(), Selection(compare=("a",)))
    assert '<a href="/?run=a">a</a>' in html
    assert "digits on cpu-ort-1t" in html
    assert "<td>0.75</td><td>10.0x</td><td>16.0x</td>" in html
    assert ">remove</a>" in html
    assert "read it with parefront 9.9" in html
    assert 'Sweep <strong><a href="/?sweep=s">s</a></strong>: ' in html
    assert "schema of" in html.partition(">z</a></strong>: ")[2]


def test_an_empty_folder_says_how_to_begin(tmp_path: Path) -> None:
    assert "`parefront search TASK --out" in listing(tmp_path, {}, {}, Selection())
