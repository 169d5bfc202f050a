from parefront.results.markup import Html, as_html, bars, definitions, element, link, table


def test_text_is_escaped_and_html_is_not() -> None:
    assert as_html("<b>&") == "&lt;b&gt;&amp;"
    assert as_html(Html("<b>")) == "<b>"
    assert element("td", '"<', "a b") == '<td class="a b">&quot;&lt;</td>'


def test_a_link_cannot_leave_its_attribute() -> None:
    assert link('artefacts/a "b" #1.onnx', "<") == '<a href="artefacts/a%20%22b%22%20%231.onnx">&lt;</a>'


def test_cells_are_escaped() -> None:
    html = table(("a<",), (("b<",),), "numbers")
    assert "<th>a&lt;</th>" in html
    assert "<td>b&lt;</td>" in html


def test_definitions_are_escaped() -> None:
    assert definitions({"<": ">"}) == "<dl><div><dt>&lt;</dt><dd>&gt;</dd></div></dl>"


def test_a_bar_stays_within_its_track() -> None:
    html = bars({"<": (0.25, "a"), "b": (7.0, "c")})
    assert "width:25.0%" in html
    assert "width:100.0%" in html
    assert "<span>&lt;</span>" in html
