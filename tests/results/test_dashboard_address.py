import pytest

from parefront.results.dashboard_address import MAX_COMPARED, Selection, read_address


def test_an_address_shows_what_it_was_made_from() -> None:
    chosen = Selection(
        "sweep/a b&c", "s", 12, "accuracy_drop<=1pt and size<=2MB", "failed", "size", 3, "time", ("x", "y=z")
    )
    assert read_address(chosen.address.removeprefix("/")) == chosen
    assert Selection().address == "/?"
    assert Selection(run="a").but(trial=0).address == "/?run=a&trial=0"


@pytest.mark.parametrize("search", [None, "", "?", "?trial=-1&page=0&kind=x&order=", "?trial=1e3&page=99999999999"])
def test_what_is_wrong_in_an_address_is_left_at_the_beginning(search: str | None) -> None:
    assert read_address(search) == Selection()


def test_no_more_runs_are_compared_than_can_be_told_apart() -> None:
    search = "?" + "&".join(f"compare={i % 9}" for i in range(20))
    assert read_address(search).compare == tuple(map(str, range(MAX_COMPARED)))
