import json

import pandas as pd
import pytest

from parefront.cli.output import check_formats, print_frame, print_json, print_rows
from parefront.hardware_profiles import SearchError


def test_records_become_csv_and_lists_become_words(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(
        [
            {"name": "a", "choices": [32, 8], "reasons": ["no such file", "not here"], "ms": 0.5},
            {"name": 'b "quoted", so', "choices": [], "reasons": [], "ms": None},
        ]
    )
    assert capsys.readouterr().out == (
        'name,choices,reasons,ms\na,32 8,no such file; not here,0.5\n"b ""quoted"", so",,,\n'
    )


def test_a_table_keeps_its_numbers_to_the_last_digit(capsys: pytest.CaptureFixture[str]) -> None:
    print_frame(pd.DataFrame({"ms": [0.1 + 0.2]}, index=pd.Index([3], name="number")))
    assert capsys.readouterr().out == "number,ms\n3,0.30000000000000004\n"


def test_json_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_json([{"a": None}])
    assert json.loads(capsys.readouterr().out) == [{"a": None}]


def test_one_format_at_a_time() -> None:
    check_formats(as_json=True, as_csv=False)
    with pytest.raises(SearchError, match="a listing has one format, but both --json and --csv were given"):
        check_formats(as_json=True, as_csv=True)
