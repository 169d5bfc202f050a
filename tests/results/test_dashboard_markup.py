import pytest
from dash import dcc, html

from parefront.results.dashboard_address import Selection
from parefront.results.dashboard_markup import go_to, to_components
from parefront.results.markup import Html, bars, element, join, table

INJECTION = '<script>alert(1)</script><img src=x onerror="alert(1)">'


def test_elements_become_components_and_text_stays_text() -> None:
    (found,) = to_components(element("p", join([INJECTION, element("strong", "a & b")]), "note"))
    assert isinstance(found, html.P)
    assert found.className == "note"
    text, strong = "".join(found.children[:-1]), found.children[-1]
    assert text == INJECTION
    assert isinstance(strong, html.Strong)
    assert strong.children == ["a & b"]


def test_a_table_keeps_its_place_among_the_keys() -> None:
    (box,) = to_components(table(["one"], [["two"]], "numbers"))
    assert (box.className, box.tabIndex) == ("scroll", "0")
    assert box.children[0].children[0].children[0].children[0].children == ["one"]


def test_links_to_a_selection_do_not_load_the_page_again() -> None:
    link, other = to_components(join([go_to(Selection(run='"><b>'), INJECTION), Html('<a href="/artefact?x=1">f</a>')]))
    assert isinstance(link, dcc.Link)
    assert link.href == "/?run=%22%3E%3Cb%3E"
    assert "".join(link.children) == INJECTION
    assert isinstance(other, html.A)


def test_lengths_of_bars_are_kept() -> None:
    (box,) = to_components(bars({"train": (0.25, "1 s")}))
    assert box.children[0].children[1].children[0].style == {"width": "25.0%"}


@pytest.mark.parametrize("markup", ["<script>1</script>", '<p onclick="x">a</p>', "<iframe></iframe>", "<p>"])
def test_nothing_else_gets_onto_the_page(markup: str) -> None:
    with pytest.raises(AssertionError):
        to_components(Html(markup))
