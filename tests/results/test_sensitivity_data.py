import json

import pytest

from parefront.results import ResultsError, Run
from parefront.results.sensitivity_data import SensitivityData, sensitivity_data
from parefront.results.sensitivity_figure import draw_sensitivity


def write_table(run: Run, divergences: object) -> None:
    facts = {"schema": 1, "observations": {}, "damages": {}, "divergences": divergences, "plan": ""}
    (run.directory / "tables.json").write_text(json.dumps(facts))


def test_the_table_has_a_row_per_site(run: Run) -> None:
    write_table(
        run, {"prune/conv1": [[64, 0.0], [48, 0.09], [32, 0.16], [16, 0.81]], "bits/fc": [[32, 0.0], [8, 0.04]]}
    )
    data = sensitivity_data(run)
    assert data == SensitivityData(
        ("prune/conv1", "bits/fc"), (("48", "32", "16"), ("8",)), ((0.09, 0.16, 0.81), (0.04,))
    )
    first, second = draw_sensitivity(data).data[0].z
    assert list(first) == pytest.approx([0.3, 0.4, 0.9])  # the square roots
    assert list(second) == [0.2, None, None]


def test_a_search_that_knew_nothing_of_single_choices_has_none(run: Run) -> None:
    assert sensitivity_data(run).sites == ()
    assert "knew nothing of single choices" in draw_sensitivity(sensitivity_data(run)).layout.annotations[0].text


def test_a_damaged_table_is_named(run: Run) -> None:
    (run.directory / "tables.json").write_text("{")
    with pytest.raises(ResultsError, match=r"tables\.json must be readable, but is damaged"):
        sensitivity_data(run)
