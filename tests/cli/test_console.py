import pytest

from parefront.cli.console import complain, open_console, open_table, print_sentence, warn


def test_a_sentence_is_one_line_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    sentence = "3.1x faster, " * 30
    print_sentence(sentence, "bold")
    assert capsys.readouterr().out == f"{sentence}\n"


def test_warnings_are_one_line_on_the_error_stream_without_markup(capsys: pytest.CaptureFixture[str]) -> None:
    warn("line 3 of [red]journal.log[/red] " + "is damaged " * 20)
    complain("error: x", "red")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("warning: line 3 of [red]journal.log[/red] is damaged")
    assert len(shown.err.splitlines()) == 2


def test_columns_stand_close_together_in_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("parefront.cli.console.MIN_WIDTH", 80)
    for columns, gap in (("80", " "), ("140", "   ")):
        monkeypatch.setenv("COLUMNS", columns)
        console = open_console()
        table = open_table(console)
        table.add_column("a")
        table.add_column("b")
        table.add_row("1", "2")
        console.print(table)
        assert f"1{gap}2" in capsys.readouterr().out
